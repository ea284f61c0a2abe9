import { setTimeout as sleep } from "node:timers/promises";
import SqliteDatabase from "better-sqlite3";

/** Arguments: the file, for how many milliseconds to hold its write lock. Writes a line once it has the lock. */
const [path = "", milliseconds = "0"] = process.argv.slice(2);

const client = new SqliteDatabase(path, { timeout: 10_000 });
client.exec("begin immediate");
console.log("locked");
await sleep(Number(milliseconds));
client.exec("commit");
client.close();
