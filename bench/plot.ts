import { init } from "echarts";

/** Bars in groups. */
export interface BarPlot {
  readonly title: string;
  readonly unit: string;
  readonly groups: readonly string[];
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[];
}

/** Lines over time or another measure. */
export interface LinePlot {
  readonly title: string;
  readonly xName: string;
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (readonly [x: number, y: number])[];
  }[];
}

const size = { width: 960, height: 440 };
const look = {
  animation: false,
  backgroundColor: "#ffffff",
  color: ["#9aa5b1", "#2563eb", "#d97706", "#059669", "#7c3aed"],
  grid: { left: 70, right: 30, top: 70, bottom: 90 },
};

/** The plot as SVG text. */
export function barSvg({ title, unit, groups, series }: BarPlot): string {
  return svg({
    ...look,
    title: { text: title, left: "center" },
    legend: { top: 30 },
    xAxis: {
      type: "category",
      data: [...groups],
      axisLabel: { interval: 0, rotate: groups.length > 6 ? 30 : 0 },
    },
    yAxis: { type: "value", name: unit },
    series: series.map(({ name, values }) => ({ type: "bar" as const, name, data: values.map(rounded) })),
  });
}

/** The plot as SVG text; each series has its own scale when `separate` is set, since units differ. */
export function lineSvg({ title, xName, series }: LinePlot): string {
  return svg({
    ...look,
    title: { text: title, left: "center" },
    legend: { top: 30 },
    xAxis: { type: "value", name: xName, nameLocation: "middle", nameGap: 30 },
    yAxis: series.map(({ name }, i) => ({
      type: "value" as const,
      name: i < 2 ? name : "",
      show: i < 2,
      position: i === 0 ? ("left" as const) : ("right" as const),
    })),
    series: series.map(({ name, points }, i) => ({
      type: "line" as const,
      name,
      yAxisIndex: i,
      showSymbol: false,
      data: points.map(([x, y]) => [x, y]),
    })),
  });
}

function svg(option: Parameters<ReturnType<typeof init>["setOption"]>[0]): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, ...size });
  chart.setOption(option);
  const text = chart.renderToSVGString();
  chart.dispose();
  return text;
}

function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
