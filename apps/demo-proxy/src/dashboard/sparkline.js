import { setAttribute, shape } from "./dom.js";

const [WIDTH, HEIGHT, POINTS] = [120, 28, 60];

/** The last minute of a rate, as a line. What it shows stands beside it in numbers, so it is hidden from screen readers. */
export class Sparkline {
  /** @type {number[]} */
  #values = [];
  #line = shape("polyline", { class: "spark-line", "vector-effect": "non-scaling-stroke" });
  #area = shape("polygon", { class: "spark-area" });
  node = shape(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    this.#area,
    this.#line,
  );

  /** @param {number} value */
  add(value) {
    this.#values.push(value);
    if (this.#values.length > POINTS) this.#values.shift();
    const most = Math.max(...this.#values, 1e-9);
    const first = WIDTH - ((this.#values.length - 1) * WIDTH) / (POINTS - 1);
    const points = this.#values.map((value, index) => {
      const x = first + (index * WIDTH) / (POINTS - 1);
      return `${x.toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 5)).toFixed(1)}`;
    });
    setAttribute(this.#line, "points", points.join(" "));
    setAttribute(this.#area, "points", `${first.toFixed(1)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`);
  }
}
