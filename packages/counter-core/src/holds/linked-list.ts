/** Something that is in a list, between two others. */
export interface Linked<T> {
  next: T | undefined;
  previous: T | undefined;
}

/** A list that costs a few assignments to join and to leave, wherever in it one is: holds come and go with every request. */
export class LinkedList<T extends Linked<T>> {
  #first: T | undefined;

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  add(one: T): void {
    one.next = this.#first;
    if (this.#first !== undefined) this.#first.previous = one;
    this.#first = one;
  }

  delete(one: T): void {
    const { next, previous } = one;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    one.next = undefined;
    one.previous = undefined;
  }

  /** All that are in it now. */
  list(): readonly T[] {
    const all: T[] = [];
    for (let one = this.#first; one !== undefined; one = one.next) all.push(one);
    return all;
  }
}
