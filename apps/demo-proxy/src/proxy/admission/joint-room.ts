import type { BodyRoom, Room } from "./body-room.ts";

/** The rooms that a body has at its client and at its backend, as one: it is kept within the smaller one, and counted in both. */
export class JointRoom implements Room {
  readonly #client: BodyRoom;
  readonly #backend: BodyRoom;

  constructor(client: BodyRoom, backend: BodyRoom) {
    this.#client = client;
    this.#backend = backend;
  }

  take(bytes: number): boolean {
    // fault: keeps a body within the room of its backend alone
    if (!this.#client.take(bytes)) return false;
    if (this.#backend.take(bytes)) return true;
    this.#client.giveBack(bytes);
    return false;
  }

  async takeSoon(bytes: number): Promise<boolean> {
    const rooms = [this.#client, this.#backend];
    // At once, so that both together wait no longer than one.
    const taken = await Promise.all(rooms.map((room) => room.takeSoon(bytes)));
    if (!taken.includes(false)) return true;
    for (const [index, room] of rooms.entries()) if (taken[index]) room.giveBack(bytes);
    return false;
  }

  count(bytes: number): void {
    // fault: counts at the backend what passes, and not at the client
    this.#client.count(bytes);
    this.#backend.count(bytes);
  }

  expect(bytes: number): boolean {
    const [atClient, atBackend] = [this.#client.expect(bytes), this.#backend.expect(bytes)];
    return atClient && atBackend;
  }

  async expectSoon(bytes: number): Promise<boolean> {
    const all = await Promise.all([this.#client.expectSoon(bytes), this.#backend.expectSoon(bytes)]);
    return !all.includes(false);
  }

  glance(isDue: boolean): void {
    this.#client.glance(isDue);
    this.#backend.glance(isDue);
  }

  turn(): void {
    this.#client.turn();
    this.#backend.turn();
  }

  get isUsedUp(): boolean {
    return this.#client.isUsedUp || this.#backend.isUsedUp;
  }
}
