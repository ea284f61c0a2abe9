import type { TokenProtocol } from "../config/proxy-config.ts";
import type { Router } from "../proxy/admission/route.ts";
import type { BodyLength } from "../proxy/http/framing.ts";
import type { Outgoing } from "../proxy/outgoing.ts";
import { type Estimate, estimateOf, HEAD_BYTES } from "./estimate.ts";
import type { QuestionKind } from "./token-protocol.ts";

/** What a question is, and what it may cost. */
export interface Question {
  readonly kind: QuestionKind;
  readonly estimate: Estimate;
}

/** What a request may be, by the protocol of whichever backend gets it. */
export type QuestionKinds = ReadonlyMap<TokenProtocol, QuestionKind>;
export type Questions = ReadonlyMap<TokenProtocol, Question>;

/**
 * Tells what a request asks models, and what that may cost: at once, that it asks nothing, or once the beginning of its body is read.
 *
 * @param begins is called before that is read.
 */
export function readQuestions(
  router: Pick<Router, "questionKinds">,
  { body, demand }: Pick<Outgoing, "body" | "demand">,
  begins: () => void,
  then: (questions: Questions | undefined) => void,
): void {
  const kinds = body === null ? undefined : router.questionKinds(demand);
  if (body === null || kinds === undefined) {
    then(undefined);
    return;
  }
  begins();
  body.readAhead(HEAD_BYTES, (head, isWhole) => then(questionsOf(kinds, head, isWhole, demand.bodyLength)));
}

/** @param head its first bytes: all of them, or `HEAD_BYTES` and perhaps some more. */
function questionsOf(kinds: QuestionKinds, head: Buffer, isWhole: boolean, bodyLength: BodyLength): Questions {
  return new Map(
    Array.from(kinds, ([protocol, kind]) => [
      protocol,
      { kind, estimate: estimateOf(kind, head, isWhole, bodyLength) },
    ]),
  );
}
