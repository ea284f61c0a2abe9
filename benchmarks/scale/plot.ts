/** A measure of fleets, over the number of backends. */
export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 300;
const HEIGHT = 220;
const COLUMNS = 2;
const LEFT = 52;
const [TOP, RIGHT, BOTTOM] = [34, 14, 30];
const COLORS = ["#4269d0", "#c2410c", "#2f855a", "#7c3aed"];

/** Small multiples, with both axes logarithmic: twice as high is so much more in each of them. */
export function plotText(panels: readonly Panel[]): string {
  const rows = Math.ceil(panels.length / COLUMNS);
  const names = panels[0]?.lines.map(({ name }) => name) ?? [];
  const legend = names.map((name, i) => `<tspan fill="${colorOf(i)}"${i > 0 ? ' dx="14"' : ""}>${name}</tspan>`);
  const [width, height] = [COLUMNS * WIDTH, rows * HEIGHT + 26];
  const parts = panels.map((panel, i) => {
    const [x, y] = [(i % COLUMNS) * WIDTH, Math.floor(i / COLUMNS) * HEIGHT];
    return `<g transform="translate(${x} ${y})">${panelText(panel)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="11">
<rect width="${width}" height="${height}" fill="#ffffff"/>
${parts.join("\n")}
<text x="${LEFT}" y="${height - 8}">${legend.join("")}</text>
</svg>
`;
}

function panelText({ title, unit, lines }: Panel): string {
  const points = lines.flatMap((line) => line.points);
  const x = scaleOf(
    points.map(([at]) => at),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = scaleOf(
    points.map(([, value]) => value),
    HEIGHT - BOTTOM,
    TOP,
  );
  const grid = [
    ...x.decades.map(
      (at) => `<text x="${px(x.of(at))}" y="${HEIGHT - 12}" text-anchor="middle">${shortText(at)}</text>`,
    ),
    ...y.decades.map(
      (at) =>
        `<path d="M${LEFT} ${px(y.of(at))}H${WIDTH - RIGHT}" stroke="#d9d9d9"/><text x="${LEFT - 6}" y="${px(y.of(at) + 4)}" text-anchor="end">${shortText(at)}</text>`,
    ),
  ];
  const drawn = lines.map((line, i) => {
    const path = line.points.map(([at, value]) => `${px(x.of(at))} ${px(y.of(value))}`);
    const dots = path.map((point) => `<circle cx="${point.replace(" ", '" cy="')}" r="2.5" fill="${colorOf(i)}"/>`);
    return `<path d="M${path.join("L")}" fill="none" stroke="${colorOf(i)}" stroke-width="1.5"/>${dots.join("")}`;
  });
  return `<text x="${LEFT}" y="18" font-weight="600">${title}<tspan fill="#666666" font-weight="400">, ${unit}</tspan></text>${grid.join("")}${drawn.join("")}`;
}

interface Scale {
  /** The powers of ten that it shows. */
  readonly decades: readonly number[];
  of(value: number): number;
}

function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const logs = values.map(Math.log10);
  const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  const span = Math.max(1, high - low);
  return {
    decades: Array.from({ length: span + 1 }, (_, i) => 10 ** (low + i)),
    of: (value) => from + ((Math.log10(value) - low) / span) * (to - from),
  };
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length] as string;
}

function px(value: number): string {
  return value.toFixed(1);
}

function shortText(value: number): string {
  return value >= 1 ? value.toLocaleString("en-US") : String(Number(value.toPrecision(1)));
}
