import { createServer } from "node:http";

/** A process of its own: answers GET /BYTES with that many bytes, and PUT with how many bytes came. Prints its port. */
const chunk = Buffer.alloc(65_536, "x");

const server = createServer((request, response) => {
  if (request.method === "PUT") {
    let received = 0;
    request.on("data", (part: Buffer) => {
      received += part.length;
    });
    request.on("end", () => response.end(String(received)));
    return;
  }
  let left = Number(request.url?.slice(1));
  response.writeHead(200, { "content-length": left });
  const more = (): void => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      left -= part.length;
      if (!response.write(part)) return;
    }
    response.end();
  };
  response.on("drain", more);
  more();
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object") console.log(address?.port);
});
// It ends with whoever started it.
process.stdin.resume().on("end", () => process.exit());
