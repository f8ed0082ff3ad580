/* The verdict: after over plateau of every run and control, against the null band, of the followed number and of cheaper ones. */
(() => {
  "use strict";

  const { text, number, chart } = todacomm;
  const grok = (todacomm.grok = todacomm.grok || {});
  const ROW = 26, TALL = 38, TITLE = 40, FOOT = 52, NARROW = 620; // pixels: a row, one with two lines of words, what stands above and below a panel
  const STEPS = [1, 0.5, 0.25, 0.2, 0.1, 0.05, 0.025, 0.02, 0.01]; // of a short axis; a long one has 1, 2, 5 or powers of ten
  const WIDE = 8; // times from end to end

  const isRun = (row) => row.kind === "run";
  const stacked = (width) => width < NARROW;

  /* Three ticks or more of a logarithmic axis from below 1 to above, 1 among them. */
  function ticksOf(low, high, most) {
    for (const step of high / low < WIDE ? STEPS : []) {
      const first = Math.ceil(low / step - 1e-9);
      const found = Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(6)));
      if (found.length >= 3 && found.length <= most) return found;
    }
    let found = [];
    for (const leads of [[1, 2, 5], [1, 5], [1]]) {
      found = [];
      for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k += 1) found.push(...leads.map((lead) => Number(`${lead}e${k}`)));
      found = found.filter((t) => t >= low && t <= high);
      if (found.length <= most) return found;
    }
    const every = Math.ceil(found.length / most);
    const one = found.indexOf(1);
    return found.filter((_, i) => (i - one) % every === 0);
  }

  /* A logarithmic axis around 1 that holds these ratios, with a handful of ticks. */
  function ratioAxis(values, room) {
    const known = [...values, 1].filter((v) => v > 0);
    const low = Math.min(...known) / 1.18;
    const high = Math.max(...known) * 1.18;
    const ticks = ticksOf(low, high, Math.max(3, Math.min(5, Math.floor(room / 55))));
    return { type: "log", range: [Math.log10(low), Math.log10(high)], tickvals: ticks, ticktext: ticks.map(String), title: grok.titled("after / plateau") };
  }

  const valuesOf = (measure) => [...measure.ratios, ...(measure.band || [])].filter((v) => v !== null);

  function domains(count, rows, width) {
    if (stacked(width)) {
      const [each, whole] = [rows * TALL, inside(count, rows, width)];
      return Array.from({ length: count }, (_, i) => {
        const top = i * (each + TITLE + FOOT);
        return { x: [0, 1], y: [Math.max(0, 1 - (top + each) / whole), 1 - top / whole] };
      });
    }
    const gap = 0.03;
    const each = (1 - gap * (count - 1)) / count;
    return Array.from({ length: count }, (_, i) => ({ x: [i * (each + gap), i * (each + gap) + each], y: [0, 1] }));
  }

  /* The pixels between the margins. */
  const inside = (count, rows, width) => (stacked(width) ? count * rows * TALL + (count - 1) * (TITLE + FOOT) : rows * ROW);

  const axes = (i) => ({ xaxis: i ? `x${i + 1}` : "x", yaxis: i ? `y${i + 1}` : "y" });

  function traceOf(rows, measure, i) {
    const kept = rows.map((row, j) => ({ row, j, ratio: measure.ratios[j] })).filter(({ ratio }) => ratio !== null && ratio > 0);
    return {
      type: "scatter", mode: "markers", showlegend: false, ...axes(i), x: kept.map((k) => k.ratio), y: kept.map((k) => k.j),
      marker: {
        size: 11, color: kept.map(({ row }) => (isRun(row) ? row.colour : "soft")),
        symbol: kept.map(({ row }) => (isRun(row) ? "circle" : row.part_of_band ? "square" : "square-open")), line: { width: kept.map(({ row }) => (isRun(row) || row.part_of_band ? 0 : 2)) },
      },
      hovertext: kept.map(({ row, ratio }) => `${text(row.label)}: ${number(ratio, 3)} times its plateau<br>${text(measure.label)}<br>${text(row.verdict)}`),
      hoverinfo: "text",
    };
  }

  /* Words beside the rows: in a column of their own, under the name where there is no room for one. */
  function labels(rows, width) {
    return rows.map((row) => (stacked(width) ? `${text(row.label)}<br><i>${text(row.verdict)}</i>` : text(row.label)));
  }

  function layoutOf(signature, { width }) {
    const { rows, measures } = signature;
    const places = domains(measures.length, rows.length, width);
    const inner = width - (stacked(width) ? 160 : 330); // beside the names and the verdicts
    const runs = rows.filter(isRun).length;
    const found = { shapes: [], annotations: [], hovermode: "closest", margin: { l: 20, r: stacked(width) ? 12 : 150, t: TITLE, b: FOOT } };
    measures.forEach((measure, i) => {
      const n = i ? i + 1 : "";
      const { xaxis, yaxis } = axes(i);
      const first = i === 0 || stacked(width);
      found[`xaxis${n}`] = { ...ratioAxis(valuesOf(measure), inner * (places[i].x[1] - places[i].x[0])), domain: places[i].x, anchor: yaxis, fixedrange: true };
      found[`yaxis${n}`] = {
        domain: places[i].y, anchor: xaxis, range: [rows.length - 0.5, -0.5], fixedrange: true, showgrid: false, ticks: "",
        tickvals: rows.map((_, j) => j), ticktext: labels(rows, width), showticklabels: first,
      };
      const across = { xref: `${xaxis} domain`, x0: 0, x1: 1, yref: yaxis };
      found.shapes.push({ type: "line", xref: xaxis, x0: 1, x1: 1, yref: `${yaxis} domain`, y0: 0, y1: 1, layer: "below", line: { color: "soft", width: 1 } });
      found.shapes.push({ type: "line", ...across, y0: runs - 0.5, y1: runs - 0.5, layer: "below", line: { color: "line", width: 1.5 } });
      if (measure.band) {
        found.shapes.push({ type: "rect", xref: xaxis, x0: measure.band[0], x1: measure.band[1], yref: `${yaxis} domain`, y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: "rgba(140,140,140,0.3)" });
      }
      found.annotations.push({
        xref: "paper", x: places[i].x[0], xanchor: "left", yref: "paper", y: places[i].y[1], yanchor: "bottom", yshift: 3, showarrow: false, align: "left",
        text: `<b>${todacomm.wrapped(measure.label, Math.max(14, Math.floor((inner * (places[i].x[1] - places[i].x[0])) / 7.5)))}</b>`, font: { size: 12 },
      });
    });
    if (!stacked(width)) {
      rows.forEach((row, j) => found.annotations.push({
        xref: "paper", x: 1, xanchor: "left", xshift: 10, yref: "y", y: j, yanchor: "middle", showarrow: false, text: text(row.verdict), font: { size: 12, color: isRun(row) ? "ink" : "soft" },
      }));
    }
    return found;
  }

  const heightOf = ({ rows, measures }, width) => inside(measures.length, rows.length, width) + TITLE + FOOT;

  function data({ rows, measures }) {
    return {
      header: ["run", "kind", "verdict", "plateau", "after", ...measures.flatMap((m) => [m.label, `${m.label}: null band from`, `${m.label}: to`])],
      rows: rows.map((row, j) => [row.label, row.kind, row.verdict, row.plateau, row.after, ...measures.flatMap((m) => [m.ratios[j], ...(m.band || [null, null])])]),
    };
  }

  const HOW = "Each row is a run (circle) or a control (square): the median of its last five checkpoints over the median of its plateau, on a logarithmic axis; the grey " +
    "line is no change. A row without a mark has no plateau of three checkpoints.";
  const JUDGED = " The band is where one more control would fall (95 %, from the controls; a hollow square is no part of it). Beside the followed number stand two that are " +
    "cheaper to have: what they show as well, topology is not needed for.";

  grok.signature = (host, state) => {
    const now = () => state.cell.signature;
    const handle = chart(host, {
      name: "signature", title: title(state.cell), how: HOW + (state.payload.signature.band ? JUDGED : ""), height: (width) => heightOf(now(), width),
      traces: () => now().measures.map((measure, i) => traceOf(now().rows, measure, i)),
      layout: (_, room) => layoutOf(now(), room), data: () => data(now()),
    });
    return () => {
      handle.retitle(title(state.cell));
      handle.update();
    };
  };

  const title = (cell) => `After over plateau, against the null band: ${cell.signature.band ? cell.verdict : "not judged"}`;
})();
