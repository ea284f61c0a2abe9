/** The longest head of a frame, in bytes. */
const LONGEST_HEAD = 14;

/** Where frames of a WebSocket (RFC 6455, section 5.2) end in what passes in one direction, piece by piece. */
export class Frames {
  readonly #head = Buffer.alloc(LONGEST_HEAD);
  /** How much of a head has come. */
  #come = 0;
  /** How much of a payload is still to come. */
  #rest = 0;

  /** Whether what has passed ends where a frame does, so that another one may follow. */
  get between(): boolean {
    return this.#come === 0 && this.#rest === 0;
  }

  /**
   * Reads on: the whole piece or, with `toEnd`, no further than to the end of the frame that is under way.
   *
   * @returns how many bytes of the piece it has read.
   */
  read(piece: Uint8Array, toEnd = false): number {
    let at = 0;
    while (at < piece.length && !(toEnd && this.between)) {
      if (this.#rest > 0) {
        const bytes = Math.min(this.#rest, piece.length - at);
        this.#rest -= bytes;
        at += bytes;
      } else {
        this.#head[this.#come] = piece[at] as number;
        this.#come += 1;
        at += 1;
        if (this.#come === headLength(this.#head, this.#come)) {
          this.#rest = payloadLength(this.#head);
          this.#come = 0;
        }
      }
    }
    return at;
  }
}

/** A frame that closes a WebSocket (section 5.5.1). What clients send is masked, by a key that hides nothing here. */
export function closeFrame(code: number, reason: string, masked: boolean): Buffer {
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
  const mask = masked ? [0, 0, 0, 0] : [];
  return Buffer.concat([Buffer.from([0x88, (masked ? 0x80 : 0) | payload.length, ...mask]), payload]);
}

/** How long a head is of which so many bytes have come; no length where they do not tell. */
function headLength(head: Buffer, come: number): number {
  if (come < 2) return LONGEST_HEAD;
  const second = head[1] as number;
  const short = second & 0x7f;
  return 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
}

function payloadLength(head: Buffer): number {
  const short = (head[1] as number) & 0x7f;
  if (short === 126) return head.readUInt16BE(2);
  return short === 127 ? Number(head.readBigUInt64BE(2)) : short;
}
