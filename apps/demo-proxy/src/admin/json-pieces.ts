/** The JSON of an object whose last field is a list, item by item, so that it can be written in turns. */
export function* jsonPieces(object: object, listName: string, list: Iterable<unknown>): Generator<string> {
  yield* listPieces(object, listName, jsonOfEach(list));
}

function* jsonOfEach(list: Iterable<unknown>): Generator<string> {
  for (const item of list) yield JSON.stringify(item);
}

/** The same of items that are JSON already. */
export function* listPieces(object: object, listName: string, items: Iterable<string>): Generator<string> {
  const fields = JSON.stringify(object).slice(1, -1);
  yield `{${fields}${fields === "" ? "" : ","}${JSON.stringify(listName)}:[`;
  let comma = "";
  for (const item of items) {
    yield `${comma}${item}`;
    comma = ",";
  }
  yield "]}";
}
