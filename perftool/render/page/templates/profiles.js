"use strict";
// Where the time goes: layers, and how near to the device's limits they and the configurations come.

perftool.MOST_LAYERS = 30;
// Of so many configurations the headroom is told beside the roofline; the points tell the others'.
perftool.MOST_TOLD = 8;

perftool.layerBars = (profile, by) => {
  if (by !== "layers") return profile[by].map(({ name, time_us: time, share, layers }) => ({ name, time: time.point, share, ends: time,
    more: `${layers} layer${layers === 1 ? "" : "s"}` }));
  return profile.layers.map(({ name, type, precision, kernel, share, time_us: time }) => ({ name, time: time.point, share,
    ends: time, more: `${type}, ${precision}, ${kernel}` }));
};

perftool.layers = () => {
  const { layers: profiles, rows } = perftool.content;
  if (!perftool.reveal("layers", profiles.length)) return;
  const profile = profiles[Number(document.getElementById("layers-profile").value) || 0];
  const by = document.getElementById("layers-by").value;
  const bars = perftool.layerBars(profile, by).sort((a, b) => b.time - a.time);
  const shown = bars.slice(0, perftool.MOST_LAYERS).reverse();
  const most = perftool.narrow() ? 24 : 34;
  const short = (name) => (name.length > most ? `…${name.slice(1 - most)}` : name);
  const row = rows.id.indexOf(profile.id);
  const look = perftool.lookOf(row < 0 ? "default" : rows.precision[row]);
  perftool.draw("layers-chart", [{ type: "bar", orientation: "h", x: shown.map((bar) => bar.time / 1000),
    y: shown.map((_, at) => at), marker: { color: look.colour }, error_x: perftool.reach(shown.map(({ ends }) => ends), 1 / 1000),
    hovertemplate: "%{text}<extra></extra>", textposition: "none",
    text: shown.map((bar) => perftool.inert(bar.name) + "<br>" + perftool.inert(bar.more) + "<br>" +
      `${(bar.time / 1000).toPrecision(3)} ms, ${perftool.percent(bar.share)} of the layers' time`) }],
  { height: 22 * shown.length + 90, xaxis: perftool.axis(perftool.narrow() ? "ms per inference" : "ms in one inference of a batch"), showlegend: false, bargap: 0.25,
    yaxis: { tickvals: shown.map((_, at) => at), ticktext: shown.map((bar) => perftool.inert(short(bar.name))),
      automargin: true, tickfont: { size: 11 }, showgrid: false, zeroline: false, fixedrange: true } });
  const more = bars.length - shown.length;
  const lines = shown.some(({ ends }) => perftool.hasEnds(ends)) ? "Lines are 95 % intervals. " : "";
  const rest = by === "layers" ? "; the table has all" : "";
  perftool.setText("layers-more", lines + (more > 0 ? `And ${more} more, which are shorter${rest}.` : ""));
  perftool.setText("layers-told", `${profile.id}: without counters ${perftool.ms(profile.plain_ms)}, with them ` +
    `${perftool.ms(profile.counted_ms)}, layers added up ${perftool.ms(profile.sum_ms)}, over ${profile.inferences} inferences. ` +
    `Changing precision or layout: ${perftool.percent(profile.transitions.share)} of the time.` +
    (profile.disturbed ? " Warning: other programs, or the hypervisor, took more than 10 % of the machine meanwhile." : ""));
  perftool.fill("layers-advice", profile.advice.map(({ text, reason, gain }) =>
    perftool.element("li", {}, `${text}: ${reason}` + (gain === null ? "" : ` (at most ${gain.toFixed(2)}x)`))));
  perftool.layerTable(profile);
};

// A rate to three digits, or whole: never with an exponent.
perftool.rate = (value) => (value < 1000 ? String(Number(value.toPrecision(3))) : value.toFixed(0));

// A share is 0 to 1 of the whole.
perftool.percent = (share) => `${(100 * share).toFixed(1)} %`;
perftool.ms = ({ point, low, high }) => `${point.toPrecision(4)} ms` +
  (low === null || high === null ? "" : ` (${low.toPrecision(4)} to ${high.toPrecision(4)})`);

perftool.layerTable = (profile) => {
  const cells = profile.layers.map((layer) => [layer.name, layer.type, layer.precision, layer.block,
    layer.output_shape.join("x"), (layer.time_us.point / 1000).toPrecision(3), perftool.percent(layer.share),
    layer.gflops === null ? "–" : perftool.rate(layer.gflops),
    layer.of_limit === null ? "–" : `${layer.of_limit.point.toFixed(0)} %${layer.doubt === "exceeded" ? ": limit too low" : ""}`]);
  perftool.fill("layers-rows", cells.map((line) => perftool.element("tr", {}, ...line.map((cell, at) =>
    perftool.element("td", { class: at > 4 ? "number" : "" }, cell)))));
};

// ---------------------------------------------------------------- roofline

// The look of what runs in a precision, as a kernel is asked for it.
perftool.runsAs = (precision) => perftool.lookOf(perftool.content.runs_as[precision]);

perftool.roofline = (chosen) => {
  const { rooflines, placed, layers: profiles, rows } = perftool.content;
  if (!perftool.reveal("roofline", rooflines.length)) return;
  const roof = rooflines[Number(document.getElementById("roofline-device").value) || 0];
  const numbers = new Map(rows.id.map((id, row) => [id, row]));
  const rowOf = (one) => numbers.get(one.id) ?? -1;
  const here = placed.filter((one) => (rows.device[rowOf(one)] ?? roof.device) === roof.device);
  const timed = profiles.filter((profile) => profile.device === roof.device);
  const profile = timed.find((one) => chosen !== null && one.id === rows.id[chosen]) ?? timed[0];
  const parts = profile ? profile.layers.filter((layer) => layer.intensity && layer.device_gflops) : [];
  const highest = roof.ceilings.length ? roof.ceilings[0].gflops.point : 1;
  const width = roof.bandwidth_gb_s.point;
  const all = [...here.map((one) => one.intensity), ...parts.map((one) => one.intensity), highest / width];
  const from = Math.min(...all, 1) / 2;
  const to = Math.max(...all) * 3;
  const traces = roof.ceilings.map(({ precision, kernel, gflops }) => {
    const knee = gflops.point / width;
    const xs = [from, ...(knee > from && knee < to ? [knee] : []), to];
    const look = perftool.runsAs(precision);
    return { x: xs, y: xs.map((x) => Math.min(gflops.point, width * x)), mode: "lines", type: "scatter",
      name: perftool.inert(`${precision}: ${perftool.rate(gflops.point)} (${kernel})`),
      line: { color: look.colour, width: 2 }, hoverinfo: "skip" };
  });
  if (parts.length) {
    traces.push({ x: parts.map((one) => one.intensity), y: parts.map((one) => one.device_gflops), mode: "markers", type: "scatter",
      name: perftool.inert(`layers of ${profile.id}`), text: parts.map((one) => perftool.inert(one.name)), hovertemplate: "%{text}<extra></extra>",
      marker: { size: 5, opacity: 0.5, color: parts.map((one) => perftool.runsAs(one.precision).colour) } });
  }
  for (const precision of Object.keys(perftool.content.looks)) {
    const members = here.filter((one) => one.precision === precision);
    if (!members.length) continue;
    const look = perftool.lookOf(precision);
    const dropped = (one) => perftool.isDropped(rowOf(one));
    traces.push(perftool.key(look), { x: members.map((one) => one.intensity), y: members.map((one) => one.gflops.point),
      mode: "markers", type: "scatter", name: look.label, legendgroup: look.label, showlegend: false,
      hovertemplate: "%{text}<extra></extra>", text: members.map((one) => perftool.inert(one.words)),
      customdata: members.map(rowOf),
      ...(here.length <= perftool.MOST_BARS && { error_y: { ...perftool.reach(members.map((one) => one.gflops)),
        color: look.colour } }),
      marker: perftool.marker(look, members.map(dropped)) });
  }
  const mine = here.find((one) => chosen !== null && one.id === rows.id[chosen]);
  if (mine) traces.push(perftool.ring(mine.intensity, mine.gflops.point));
  const log = (title) => ({ ...perftool.axis(title), type: "log", dtick: 1 });
  const bands = roof.ceilings.filter(({ gflops }) => perftool.hasEnds(gflops)).map(({ precision, gflops }) => ({ type: "rect",
    x0: gflops.point / width, x1: to, y0: gflops.low, y1: gflops.high, layer: "below", opacity: 0.15, line: { width: 0 },
    fillcolor: perftool.runsAs(precision).colour }));
  perftool.draw("roofline-chart", traces, { height: 480, xaxis: log("operations per byte"), yaxis: log(perftool.narrow() ? "10^9 operations/s" : "10^9 operations per second"), shapes: bands });
  perftool.setText("roofline-told", `${roof.device}: memory ${perftool.rate(width)} GB/s; measured ${roof.measured}` +
    `${roof.disturbed ? ", disturbed: maybe too low" : ""}.`);
  const told = here.filter((one) => one === mine).concat(here.filter((one) => one !== mine));
  // On paper nothing can be pointed at.
  const most = perftool.printing ? told.length : perftool.MOST_TOLD;
  const more = told.length - most;
  perftool.fill("roofline-words", told.slice(0, most).map((one) => perftool.element("li", {}, one.words)));
  perftool.setText("roofline-more", more > 0
    ? `And ${more} more configuration${more === 1 ? "" : "s"}: each point tells its own under the pointer; printed, all are here.` : "");
};
