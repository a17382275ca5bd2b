"use strict";
// The charts of configurations. Plotly reads some HTML in texts, so names go through `inert` on their way.

perftool.inert = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

perftool.token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// The colour of a precision; what is black on paper takes the colour of ink.
perftool.lookOf = (precision) => {
  const look = perftool.content.looks[precision] || perftool.content.looks.default;
  return { ...look, colour: look.colour === "#000000" ? perftool.token("ink") : look.colour };
};

perftool.narrow = () => !perftool.printing && window.innerWidth < 640;

// Paper has its own width, whatever the window has: between the margins of A4 and Letter alike.
perftool.PAPER_WIDTH = 680;
perftool.ON_PAPER = 0.78;
perftool.widthOf = (id) => (perftool.printing ? perftool.PAPER_WIDTH : document.getElementById(id).clientWidth);

perftool.axis = (title, values = []) => {
  const known = values.filter((value) => value !== null && value > 0);
  const log = known.length > 1 && Math.max(...known) / Math.min(...known) > 6;
  return { title: { text: title, font: { size: 13 } }, type: log ? "log" : "linear", ...(log && perftool.ticks(known)),
    gridcolor: perftool.token("line"), linecolor: perftool.token("line"), zerolinecolor: perftool.token("line"),
    automargin: true, tickfont: { size: 12 } };
};

// Ticks of a logarithmic axis at 1, 2 and 5, each written out.
perftool.ticks = (values) => {
  const least = Math.floor(Math.log10(Math.min(...values)));
  const most = Math.ceil(Math.log10(Math.max(...values)));
  const decades = Array.from({ length: most - least + 1 }, (_, at) => 10 ** (least + at));
  const tickvals = decades.flatMap((decade) => [1, 2, 5].map((step) => Number((step * decade).toPrecision(3))));
  return { tickvals, ticktext: tickvals.map(String) };
};

perftool.layout = (more) => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: "system-ui, sans-serif", size: 13, color: perftool.token("ink") },
  margin: { l: 18, r: 12, t: 12, b: 12 }, hovermode: "closest", dragmode: false,
  hoverlabel: { bgcolor: perftool.token("panel"), bordercolor: perftool.token("line"),
    font: { color: perftool.token("ink"), size: 13 }, align: "left" },
  legend: perftool.legend(perftool.narrow() ? -0.34 : perftool.printing ? -0.3 : -0.18),
  ...more,
});

perftool.legend = (y) => ({ orientation: "h", x: 0, xanchor: "left", y, yanchor: "top", font: { size: 12 } });

// Draw a chart, or draw it again; the text beside it says in words what it shows.
perftool.draw = (id, traces, layout) => {
  const config = { displaylogo: false, responsive: true,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "zoom2d", "pan2d", "autoScale2d"] };
  const chart = document.getElementById(id);
  // Two charts have room on a page.
  const paper = perftool.printing ? { width: perftool.PAPER_WIDTH, height: Math.round(perftool.ON_PAPER * layout.height) } : {};
  Plotly.react(chart, traces, perftool.layout({ ...layout, ...paper }), config);
  if (!chart.dataset.clicks) {
    chart.dataset.clicks = "yes";
    // Points carry the number of their configuration.
    chart.on("plotly_click", ({ points }) => {
      const row = points[0]?.customdata;
      if (Number.isInteger(row) && row >= 0) perftool.showDetails(row);
    });
  }
};

// More points of a look than this have no bars: they would take long to draw, and hide one another.
perftool.MOST_BARS = 200;

perftool.hasEnds = (estimate) => estimate !== null && estimate.low !== null && estimate.high !== null;

// The bars of estimates: from one end of the interval to the other, none where there is no interval.
perftool.reach = (estimates, scale = 1) => ({
  type: "data", symmetric: false, width: 0, thickness: 1,
  array: estimates.map((one) => (perftool.hasEnds(one) ? scale * (one.high - one.point) : 0)),
  arrayminus: estimates.map((one) => (perftool.hasEnds(one) ? scale * (one.point - one.low) : 0)),
});

perftool.about = (row, names) => {
  const { rows } = perftool.content;
  const figures = names.filter((name) => rows.figures[name])
    .map((name) => `${perftool.column(name).called} ${perftool.figure(name, row)} ${perftool.column(name).unit}`);
  return [rows.id[row], ...figures].map(perftool.inert).join("<br>");
};

// Whether a row passes the present limits. Baselines are held against them too, though none is ever chosen.
perftool.passesNow = (row, found) => {
  const { rows } = perftool.content;
  const candidate = perftool.candidateOf.get(row);
  if (candidate !== undefined) return found.passes[candidate];
  return rows.baseline[row] && rows.status[row] === "ok" && perftool.missesOf(row).length === 0;
};

// What misses a limit, or does not pass for another reason, is drawn paler than the rest; what a race dropped is hollow.
perftool.PALE = 0.6;
perftool.marker = (look, hollow) => ({ color: look.colour, size: 11,
  symbol: hollow.map((is) => look.symbol + (is ? "-open" : "") + (is && look.other ? "-dot" : "")),
  line: { width: hollow.map((is) => (is || look.other ? 2 : 1)), color: perftool.token(look.other ? "ink" : "paper") } });

perftool.isDropped = (row) => (perftool.content.rows.dropped[row] ?? null) !== null;

// The look of a row: by its precision, and framed (dotted, where hollow) on any device but the first.
perftool.lookOfRow = (row) => {
  const { rows } = perftool.content;
  const look = perftool.lookOf(rows.precision[row]);
  const devices = perftool.devices();
  if (devices.length < 2) return look;
  return { ...look, label: `${look.label} on ${rows.device[row]}`, other: rows.device[row] !== devices[0] };
};

perftool.devices = () => [...new Set(perftool.content.rows.device)];

// Group rows by look: by precision in their order, then by device.
perftool.byLook = (rows) => Object.keys(perftool.content.looks).flatMap((precision) => perftool.devices().map((device) =>
  rows.filter((row) => perftool.content.rows.precision[row] === precision && perftool.content.rows.device[row] === device)))
  .filter((members) => members.length).map((members) => [perftool.lookOfRow(members[0]), members]);

// Traces of points: for each look its key, who passes, and paler who does not. `place` gives a row its x and y as
// estimates; `bars` tells which rows show their intervals.
perftool.points = (rows, found, place, told, bars) => perftool.byLook(rows).flatMap(([look, members]) => {
  const trace = (shown, opacity) => ({ x: shown.map((row) => place(row).x.point), y: shown.map((row) => place(row).y.point),
    customdata: shown, type: "scatter", mode: "markers", name: look.label, legendgroup: look.label, showlegend: false, opacity,
    text: shown.map(told), hovertemplate: "%{text}<extra></extra>", marker: perftool.marker(look, shown.map(perftool.isDropped)),
    ...(bars(members) && {
      error_x: { ...perftool.reach(shown.map((row) => place(row).x)), color: look.colour },
      error_y: { ...perftool.reach(shown.map((row) => place(row).y)), color: look.colour } }) });
  const [pale, plain] = [false, true].map((is) => members.filter((row) => perftool.passesNow(row, found) === is));
  return [perftool.key(look), ...(pale.length ? [trace(pale, perftool.PALE)] : []), ...(plain.length ? [trace(plain, 1)] : [])];
});

// The entry of a look in the legend: a point of its own, since the first of the others may be pale.
perftool.key = (look) => ({ x: [null], y: [null], type: "scatter", mode: "markers", name: look.label, legendgroup: look.label,
  marker: perftool.marker(look, [false]), hoverinfo: "skip" });

perftool.ring = (x, y) => ({
  x: [x], y: [y], mode: "markers", type: "scatter", name: "choice", hoverinfo: "skip",
  marker: { size: 20, symbol: "circle-open", color: perftool.token("ink"), line: { width: 2.5 } },
});

perftool.limitLine = (ends) => ({ type: "line", line: { color: perftool.content.limit_colour, width: 1.5, dash: "dot" },
  ...ends });

// ---------------------------------------------------------------- batch and streams

perftool.streamsOf = (row) => perftool.content.rows.streams[row] || perftool.content.rows.asked_streams[row] || 0;

// The rows that a heat map shows: in each cell the choice, or else the best of those that fall into it.
perftool.cells = (name, chosen) => {
  const { rows } = perftool.content;
  const { point } = rows.figures[name];
  const sign = perftool.column(name).better === "higher" ? 1 : -1;
  const panels = new Map();
  rows.id.forEach((_, row) => {
    if (rows.baseline[row] || rows.status[row] !== "ok" || point[row] === null) return;
    const key = JSON.stringify([rows.precision[row], rows.device[row]]);
    const panel = panels.get(key) || panels.set(key, new Map()).get(key);
    const cell = JSON.stringify([rows.batch[row], perftool.streamsOf(row)]);
    const there = panel.get(cell);
    if (there === undefined || row === chosen || (there !== chosen && sign * (point[row] - point[there]) > 0)) {
      panel.set(cell, row);
    }
  });
  return panels;
};

perftool.heat = (chosen) => {
  const { rows } = perftool.content;
  const name = document.getElementById("heat-metric").value;
  const panels = name && rows.figures[name] ? perftool.cells(name, chosen) : new Map();
  if (!perftool.reveal("heat", panels.size)) return;
  const shown = [...panels.values()].flatMap((panel) => [...panel.values()]);
  const ascending = (values) => [...new Set(values)].sort((a, b) => a - b);
  const batches = ascending(shown.map((row) => rows.batch[row]));
  const streams = ascending(shown.map(perftool.streamsOf));
  const several = new Set(shown.map((row) => rows.device[row])).size > 1;
  const wide = Math.max(1, Math.floor(perftool.widthOf("heat-chart") / (60 * streams.length + 70)));
  const columns = Math.min(4, panels.size, wide);
  const lines = Math.ceil(panels.size / columns);
  const higher = perftool.column(name).better === "higher";
  const layout = { annotations: [], shapes: [], grid: { rows: lines, columns, pattern: "independent", ygap: 0.35, xgap: 0.16 },
    height: lines * (34 * batches.length + 86) + 60, margin: { l: 44, r: 8, t: 34, b: 44 },
    coloraxis: { colorscale: "Viridis", reversescale: !higher, cmin: 0, cmax: Math.max(...shown.map((row) => rows.figures[name].point[row])),
      colorbar: { thickness: 12, lenmode: "pixels", len: 34 * batches.length + 60, y: 1, yanchor: "top", title: { text: perftool.column(name).unit, side: "right" } } } };
  const traces = [...panels].map(([key, panel], index) => {
    const [precision, device] = JSON.parse(key);
    const at = index ? String(index + 1) : "";
    const row = (batch, stream) => panel.get(JSON.stringify([batch, stream]));
    const cells = batches.map((batch) => streams.map((stream) => row(batch, stream)));
    const value = (cell) => (cell === undefined ? null : rows.figures[name].point[cell]);
    layout[`xaxis${at}`] = perftool.steps("streams", streams);
    layout[`yaxis${at}`] = perftool.steps("batch", batches);
    layout.annotations.push({ text: perftool.inert(several ? `${precision} on ${device}` : precision), showarrow: false,
      xref: `x${at} domain`, yref: `y${at} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", font: { size: 14 } });
    cells.forEach((line, y) => line.forEach((cell, x) => {
      if (cell !== undefined && cell === chosen) {
        for (const [color, width] of [["#ffffff", 5], ["#000000", 2.5]]) {
          layout.shapes.push({ type: "rect", xref: `x${at}`, yref: `y${at}`, x0: x - 0.46, x1: x + 0.46, y0: y - 0.44,
            y1: y + 0.44, line: { color, width } });
        }
      }
    }));
    return { type: "heatmap", z: cells.map((line) => line.map(value)), coloraxis: "coloraxis", xaxis: `x${at}`, yaxis: `y${at}`,
      text: cells.map((line) => line.map((cell) => (cell === undefined ? "" : perftool.rounded(value(cell))))),
      customdata: cells.map((line) => line.map((cell) => cell ?? -1)),
      hovertext: cells.map((line) => line.map((cell) => (cell === undefined ? "" : perftool.about(cell, [name])))),
      texttemplate: "%{text}", hovertemplate: "%{hovertext}<extra></extra>", hoverongaps: false, xgap: 2, ygap: 2 };
  });
  perftool.draw("heat-chart", traces, layout);
};

perftool.rounded = (value) => (value < 100 ? value.toFixed(1) : value.toFixed(0));

perftool.steps = (title, values) => ({ title: { text: title, font: { size: 12 }, standoff: 4 }, tickvals: values.map((_, at) => at),
  ticktext: values.map((value) => (value ? String(value) : "?")), range: [-0.5, values.length - 0.5],
  showgrid: false, zeroline: false, ticks: "", fixedrange: true });

// ---------------------------------------------------------------- latency distributions

perftool.distributions = (found, chosen) => {
  const { rows, drawn, shares } = perftool.content;
  const known = drawn.filter((row) => rows.quantiles[row]);
  if (!perftool.reveal("distributions", known.length)) return;
  const runnerUp = found.runnerUp === null || found.runnerUp === undefined ? null : perftool.rowOf(found.runnerUp);
  const others = [...known.filter((row) => rows.baseline[row]), ...perftool.inOrder.filter((row) => rows.front[row])];
  const wanted = [chosen, runnerUp, ...others].filter((row) => row !== null && rows.quantiles[row]);
  const shown = [...new Set(wanted.length ? wanted : known)].slice(0, 9);
  const dashes = ["solid", "dash", "dot", "dashdot", "longdash"];
  const used = {};
  const traces = shown.map((row) => {
    const look = perftool.lookOf(rows.precision[row]);
    used[look.label] = (used[look.label] ?? -1) + 1;
    const more = row === chosen ? ", choice" : row === runnerUp ? ", runner-up" : "";
    return { x: rows.quantiles[row], y: shares.map((share) => 100 * share), type: "scatter", mode: "lines",
      name: perftool.inert(rows.name[row] + more),
      line: { color: look.colour, width: row === chosen ? 3.5 : 1.8, dash: dashes[used[look.label] % dashes.length] },
      text: rows.quantiles[row].map(() => perftool.inert(rows.id[row])), customdata: rows.quantiles[row].map(() => row),
      hovertemplate: "%{text}<br>%{y:.3g} % of requests within %{x:.4g} ms<extra></extra>" };
  });
  const values = shown.flatMap((row) => rows.quantiles[row]);
  perftool.draw("distributions-chart", traces, { height: perftool.narrow() ? 440 : 460,
    xaxis: perftool.axis("latency of a request under load (ms)", values),
    yaxis: { ...perftool.axis("requests within (%)"), range: [0, 101] } });
};

// ---------------------------------------------------------------- accuracy

perftool.accuracy = (found, chosen) => {
  const { accuracies, rows } = perftool.content;
  const chart = document.getElementById("accuracy-chart");
  if (chart) chart.hidden = !accuracies;
  if (!accuracies) return;
  const points = new Map(accuracies.points.map((point) => [point.row, point]));
  // The fastest of each precision have bars and are larger: the others of it have the same accuracy.
  const place = (row) => ({ x: points.get(row).speed, y: points.get(row).loss });
  const told = (row) => perftool.inert(`${rows.id[row]}: ${perftool.times(points.get(row).speed)}`) + "<br>" +
    `${accuracies.labelled ? "drop" : "differs"} ${perftool.fixed(points.get(row).loss.point, 2)}`;
  const traces = perftool.points([...points.keys()], found, place, told, () => true).map((trace) => {
    if (!trace.customdata) return trace;
    const only = (reach) => ({ ...reach, ...Object.fromEntries(["array", "arrayminus"].map((side) =>
      [side, reach[side].map((value, at) => (points.get(trace.customdata[at]).fastest ? value : 0))])) });
    return { ...trace, error_x: only(trace.error_x), error_y: only(trace.error_y), marker: { ...trace.marker,
      size: trace.customdata.map((row) => (points.get(row).fastest ? 11 : 7)) } };
  });
  const mine = accuracies.points.find((point) => point.row === chosen);
  if (mine) traces.push(perftool.ring(mine.speed.point, mine.loss.point));
  const bound = accuracies.labelled ? perftool.bounds.top1_drop : undefined;
  const loss = accuracies.labelled ? "drop of top-1 accuracy (pp)" : "top-1 differs from FP32 (% of images)";
  perftool.draw("accuracy-chart", traces, { height: 420,
    xaxis: perftool.axis(perftool.narrow() ? "throughput, times the best in f32"
      : perftool.inert(`throughput over the best in f32 (${accuracies.over}), times`)),
    yaxis: perftool.axis(loss),
    shapes: bound === undefined ? [] : [perftool.limitLine({ xref: "paper", x0: 0, x1: 1, y0: bound, y1: bound })] });
};
