import { startPostgres } from "@usage/test-servers";

/** Starts a server, says where it is, and stays. */
const { url } = await startPostgres();
console.log(url);
setInterval(() => {}, 1_000);
