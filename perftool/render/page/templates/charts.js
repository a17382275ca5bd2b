"use strict";
// The charts of configurations. Plotly reads some HTML in texts, so names go through `inert` on their way.

perftool.inert = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

perftool.token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// The colour of a precision; what is black on paper takes the colour of ink.
perftool.lookOf = (precision) => {
  const look = perftool.content.looks[precision] || perftool.content.looks.default;
  return { ...look, colour: look.colour === "#000000" ? perftool.token("ink") : look.colour };
};

perftool.narrow = () => window.innerWidth < 640;

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
  margin: { l: 12, r: 12, t: 12, b: 12 }, hovermode: "closest", dragmode: false,
  hoverlabel: { bgcolor: perftool.token("panel"), bordercolor: perftool.token("line"),
    font: { color: perftool.token("ink"), size: 13 }, align: "left" },
  legend: { orientation: "h", x: 0, xanchor: "left", y: perftool.narrow() ? -0.34 : -0.18, yanchor: "top", font: { size: 12 } },
  ...more,
});

// Draw a chart, or draw it again; the text beside it says in words what it shows.
perftool.draw = (id, traces, layout) => {
  const config = { displaylogo: false, responsive: true,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "zoom2d", "pan2d", "autoScale2d"] };
  Plotly.react(document.getElementById(id), traces, perftool.layout(layout), config);
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

perftool.ends = ({ point, low, high }, rows) =>
  perftool.reach(rows.map((row) => ({ point: point[row], low: low[row], high: high[row] })));

perftool.about = (row, names) => {
  const { rows } = perftool.content;
  const figures = names.filter((name) => rows.figures[name])
    .map((name) => `${perftool.column(name).called} ${perftool.figure(name, row)} ${perftool.column(name).unit}`);
  return [rows.id[row], ...figures].map(perftool.inert).join("<br>");
};

// Whether a row passes the present limits; baselines are never held against them.
perftool.passesNow = (row, found) => {
  const candidate = perftool.candidateOf.get(row);
  return candidate === undefined ? perftool.content.rows.baseline[row] : found.passes[candidate];
};

// The entry of a look in the legend: a point of its own, since the first of the others may be pale.
perftool.key = (look) => ({ x: [null], y: [null], type: "scatter", mode: "markers", name: look.label, legendgroup: look.label,
  marker: { color: look.colour, size: 11, symbol: look.symbol }, hoverinfo: "skip" });

perftool.ring = (x, y) => ({
  x: [x], y: [y], mode: "markers", type: "scatter", name: "choice", hoverinfo: "skip",
  marker: { size: 20, symbol: "circle-open", color: perftool.token("ink"), line: { width: 2.5 } },
});

// Group rows by precision, in the order of the looks.
perftool.byPrecision = (rows) => Object.keys(perftool.content.looks)
  .map((precision) => [precision, rows.filter((row) => perftool.content.rows.precision[row] === precision)])
  .filter(([, members]) => members.length);

perftool.scatter = (found, chosen) => {
  const { rows, drawn, front, front_colour: frontColour } = perftool.content;
  const across = rows.figures.latency_p50;
  const up = rows.figures.throughput;
  const shown = !across || !up ? [] : drawn.filter((row) => across.point[row] !== null && up.point[row] !== null);
  if (!perftool.reveal("tradeoff", shown.length)) return;
  perftool.tellDrawn(shown);
  const traces = [{ x: front.map((row) => across.point[row]), y: front.map((row) => up.point[row]), mode: "lines",
    line: { shape: "vh", dash: "dash", width: 1.4, color: perftool.dark() ? "#aaaaaa" : frontColour },
    name: "front of these two", hoverinfo: "skip", type: "scatter" }];
  for (const [precision, members] of perftool.byPrecision(shown)) {
    const look = perftool.lookOf(precision);
    const few = members.length <= perftool.MOST_BARS;
    traces.push(perftool.key(look));
    traces.push({
      x: members.map((row) => across.point[row]), y: members.map((row) => up.point[row]), customdata: members,
      type: "scatter", mode: "markers", name: look.label, legendgroup: look.label, showlegend: false,
      text: members.map((row) => perftool.about(row, ["throughput", "latency_p50", "top1_drop", "peak_rss"])),
      hovertemplate: "%{text}<extra></extra>",
      marker: { color: look.colour, size: 11, line: { width: 1, color: perftool.token("paper") },
        symbol: members.map((row) => look.symbol + (rows.dropped[row] === null ? "" : "-open")),
        opacity: members.map((row) => (perftool.passesNow(row, found) ? 1 : 0.25)) },
      ...(few && {
        error_x: { ...perftool.ends(across, members), color: look.colour },
        error_y: { ...perftool.ends(up, members), color: look.colour } }),
    });
  }
  if (chosen !== null && across.point[chosen] !== null) traces.push(perftool.ring(across.point[chosen], up.point[chosen]));
  const bound = perftool.bounds.latency_p50;
  const xaxis = perftool.axis("latency per request under load, p50 (ms)", shown.map((row) => across.point[row]));
  perftool.draw("tradeoff-chart", traces, { height: perftool.narrow() ? 430 : 520, xaxis,
    yaxis: { ...perftool.axis("throughput (images/s)"), rangemode: "tozero" },
    shapes: bound === undefined ? [] : [perftool.limitLine({ x0: bound, x1: bound, yref: "paper", y0: 0, y1: 1 })] });
};

// Say what is drawn without bars, and what is not drawn at all.
perftool.tellDrawn = (shown) => {
  const { rows } = perftool.content;
  const bare = perftool.byPrecision(shown).filter(([, members]) => members.length > perftool.MOST_BARS)
    .map(([precision]) => perftool.lookOf(precision).label);
  const left = rows.id.filter((_, row) => rows.status[row] === "ok" && rows.figures.latency_p50.point[row] === null).length;
  perftool.setText("tradeoff-drawn", "Bars are 95 % intervals over visits" +
    (bare.length ? `, left out where a precision has more points than ${perftool.MOST_BARS}: ${bare.join(", ")}.` : ".") +
    (left ? ` ${left} without a measurable p50 ${left === 1 ? "is" : "are"} not drawn.` : ""));
};

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
  const wide = Math.max(1, Math.floor(document.getElementById("heat-chart").clientWidth / (60 * streams.length + 70)));
  const columns = Math.min(4, panels.size, wide);
  const lines = Math.ceil(panels.size / columns);
  const higher = perftool.column(name).better === "higher";
  const layout = { annotations: [], shapes: [], grid: { rows: lines, columns, pattern: "independent", ygap: 0.35, xgap: 0.16 },
    height: lines * (34 * batches.length + 86) + 60, margin: { l: 44, r: 8, t: 34, b: 44 },
    coloraxis: { colorscale: "Viridis", reversescale: !higher, cmin: higher ? 0 : undefined,
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
      customdata: cells.map((line) => line.map((cell) => (cell === undefined ? "" : perftool.about(cell, [name])))),
      texttemplate: "%{text}", hovertemplate: "%{customdata}<extra></extra>", hoverongaps: false, xgap: 2, ygap: 2 };
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
      text: rows.quantiles[row].map(() => perftool.inert(rows.id[row])),
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
  const traces = [];
  for (const [precision, members] of perftool.byPrecision(accuracies.points.map((point) => point.row))) {
    const look = perftool.lookOf(precision);
    traces.push(perftool.key(look));
    for (const fastest of [false, true]) {
      const points = accuracies.points.filter((point) => members.includes(point.row) && point.fastest === fastest);
      const reach = (name) => ({ ...perftool.reach(points.map((one) => one[name])), thickness: 1.2, color: look.colour });
      if (points.length) {
        traces.push({ x: points.map((one) => one.speed.point), y: points.map((one) => one.loss.point), type: "scatter",
          mode: "markers", name: look.label, legendgroup: look.label, showlegend: false,
          text: points.map((one) => perftool.inert(`${rows.id[one.row]}: ${perftool.times(one.speed)}`) + "<br>" +
            `${accuracies.labelled ? "drop" : "differs"} ${perftool.fixed(one.loss.point, 2)}`),
          hovertemplate: "%{text}<extra></extra>",
          marker: { color: look.colour, size: fastest ? 11 : 7, symbol: look.symbol + (fastest ? "" : "-open"),
            opacity: points.map((one) => (perftool.passesNow(one.row, found) ? 1 : 0.3)) },
          ...(fastest && { error_x: reach("speed"), error_y: reach("loss") }) });
      }
    }
  }
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
