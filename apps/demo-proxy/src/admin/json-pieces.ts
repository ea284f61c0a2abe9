/** The JSON of an object whose last field is a list, item by item, so that it can be written in turns. */
export function* jsonPieces(object: object, listName: string, list: Iterable<unknown>): Generator<string> {
  const fields = JSON.stringify(object).slice(1, -1);
  yield `{${fields}${fields === "" ? "" : ","}${JSON.stringify(listName)}:[`;
  let comma = "";
  for (const item of list) {
    yield `${comma}${JSON.stringify(item)}`;
    comma = ",";
  }
  yield "]}";
}
