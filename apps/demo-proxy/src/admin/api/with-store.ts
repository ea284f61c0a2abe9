import { messageOf } from "../../log/message-of.ts";
import { type Answer, refuse } from "../problem.ts";

/** What the work answers, or 503 when the store fails. */
export async function withStore(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    return refuse({ status: 503, title: "The store failed", detail: messageOf(error) });
  }
}
