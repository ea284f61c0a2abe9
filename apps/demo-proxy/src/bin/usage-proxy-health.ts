#!/usr/bin/env node
import { get as getPlain } from "node:http";
import { get as getByTls } from "node:https";

// For supervisors that know no HTTP, such as a container's health check: exit code 0 when the address answers with 200.
const [, , url = "http://127.0.0.1:8081/healthz"] = process.argv;

/** A listener that says nothing for so long is not healthy. */
const TIMEOUT_MS = 3_000;

const end = (problem?: string): void => {
  if (problem !== undefined) process.stderr.write(`${url}: ${problem}\n`);
  process.exit(problem === undefined ? 0 : 1);
};
const get = url.startsWith("https:") ? getByTls : getPlain;
// It asks whether the listener lives, by an address that no certificate is for.
get(url, { timeout: TIMEOUT_MS, agent: false, rejectUnauthorized: false }, ({ statusCode }) => {
  end(statusCode === 200 ? undefined : `${statusCode}`);
})
  .on("timeout", () => end(`no answer within ${TIMEOUT_MS / 1_000} s`))
  .on("error", ({ message }) => end(message));
