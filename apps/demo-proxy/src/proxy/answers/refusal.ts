import type { IncomingMessage } from "node:http";
import type { Clock, StorageDimension } from "@usage/counter-core";
import type { Decision } from "@usage/tracker";
import { errors } from "undici";
import type { BodyDimension } from "../admission/body-room.ts";
import type { ClientRefused } from "../admission/client-admission.ts";
import type { Refused } from "../admission/route.ts";
import { mayBeRepeated } from "../http/repeatable.ts";
import * as problems from "./problem.ts";

/**
 * What a client is told whose request no upstream takes.
 *
 * @param failure why the last one that was tried could not be connected to; undefined where none was tried.
 */
export function refusalOf(
  { decision, unreachable, unrouted }: Refused,
  failure: Error | undefined,
  clock: Clock,
): problems.Problem {
  if (unrouted !== undefined) return unrouted === "none" ? problems.NO_ROUTE : problems.AMBIGUOUS_PATH;
  if (decision !== undefined) {
    return unreachable && decision.reason === "limit" ? problems.UNREACHABLE_OR_FULL : noRoom(decision, clock);
  }
  if (!unreachable) return problems.DRAINED;
  if (failure === undefined) return problems.UNREACHABLE;
  return isTimeout(failure) ? problems.CONNECT_TIMEOUT : problems.CONNECT_FAILED;
}

/**
 * What a client is told of whose request a backend has been sent something, and there is no room for the rest of its body or for the
 * answer.
 */
export function cutFor(
  dimension: BodyDimension,
  decision: Decision<StorageDimension>,
  request: IncomingMessage,
  clock: Clock,
): problems.Problem {
  const refusal = noRoom(decision, clock, LEADS[dimension]);
  return mayBeRepeated(request) ? refusal : problems.notToBeRepeated(refusal);
}

const LEADS: Readonly<Record<BodyDimension, string>> = {
  egressBytes: "The backend has carried out this request, and there is no room for its answer.",
  ingressBytes: "A part of this request's body was sent to the backend, and there is no room for the rest.",
};

/** What a client is told whose own limits leave no room for its request. */
export function refusalToClient({ client }: ClientRefused, clock: Clock): problems.Problem {
  return ofClient(client, noRoom(client, clock, `There is no room left for the client ${client.backend}.`));
}

/** `cutFor`, where it is the client that has no room. */
export function cutToClient(
  dimension: BodyDimension,
  { client }: ClientRefused,
  request: IncomingMessage,
  clock: Clock,
): problems.Problem {
  return ofClient(client, cutFor(dimension, client, request, clock));
}

/** It is no refusal of the backends: others go on. */
function ofClient(
  { backend, window, exceeded }: ClientRefused["client"],
  { cause: _, body, ...refusal }: problems.Problem,
): problems.Problem {
  const told = { ...JSON.parse(body), client: backend, window, dimensions: exceeded };
  return { ...refusal, body: JSON.stringify(told), cause: "client" };
}

function noRoom(decision: Decision<StorageDimension>, clock: Clock, lead?: string): problems.Problem {
  const { reason } = decision;
  if (reason === "unready" || reason === "offline") return problems.notAsked(decision, lead);
  // fault: takes what is only reserved for used up
  if (reason !== "limit") return problems.onlyReserved(decision, clock, lead);
  return problems.overLimit(decision, clock, lead);
}

/** What a client is told whose upstream broke off before its response began. */
export function brokenBy(error: Error): problems.Problem {
  return isTimeout(error) ? problems.RESPONSE_TIMEOUT : problems.BAD_RESPONSE;
}

function isTimeout(error: Error): boolean {
  return (
    error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError
  );
}
