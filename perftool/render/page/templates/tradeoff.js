"use strict";
// Throughput against latency: the points, their labels, the front of all and of what passes now.

// No more labels than this: more would cover the points.
perftool.MOST_LABELS = 14;
perftool.MOST_NARROW = 6;

// The front of what passes now, which only takes looking at who is first: the highest throughput, then whoever is faster
// to answer than all before.
perftool.frontNow = (found) => {
  const { rows, candidates } = perftool.content;
  const { latency_p50: across, throughput: up } = rows.figures;
  const known = candidates.filter((row, candidate) => found.passes[candidate] && across.point[row] !== null && up.point[row] !== null);
  known.sort((a, b) => up.point[b] - up.point[a] || across.point[a] - across.point[b] || a - b);
  let least = Infinity;
  let most = null;
  return known.filter((row) => {
    const equal = across.point[row] === least && up.point[row] === most;
    if (!equal && across.point[row] >= least) return false;
    least = across.point[row];
    most = up.point[row];
    return true;
  });
};

perftool.scatter = (found, chosen) => {
  const { rows, drawn, front, front_colour: frontColour } = perftool.content;
  const { latency_p50: across, throughput: up } = rows.figures;
  const shown = !across || !up ? [] : drawn.filter((row) => across.point[row] !== null && up.point[row] !== null);
  if (!perftool.reveal("tradeoff", shown.length)) return;
  const now = perftool.frontNow(found);
  const line = (members, style) => ({ x: members.map((row) => across.point[row]), y: members.map((row) => up.point[row]),
    mode: "lines", hoverinfo: "skip", type: "scatter", ...style,
    line: { shape: "vh", color: perftool.dark() ? "#aaaaaa" : frontColour, ...style.line } });
  const place = (row) => ({ x: perftool.figureOf("latency_p50", row), y: perftool.figureOf("throughput", row) });
  // A legend of many lines takes no height from the points.
  const lines = Math.ceil((perftool.byLook(shown).length + 4) / (perftool.narrow() ? 1.5 : 6));
  const tall = perftool.narrow() ? 290 : perftool.printing ? 320 : 400;
  const height = (tall + 90 + 20 * lines) / (perftool.printing ? perftool.ON_PAPER : 1);
  const frame = perftool.frameOf(shown, place, tall);
  const beside = perftool.together(shown, frame);
  const told = (row) => perftool.about(row, ["throughput", "latency_p50", "top1_drop", "peak_rss"]) +
    beside.get(row).map((other) => `<br>also here: ${perftool.inert(rows.id[other])}`).join("");
  const traces = [line(front, { name: "front of all", opacity: 0.5, line: { dash: "dot", width: 1.4 } }),
    line(now, { name: "front of what passes", line: { dash: "dash", width: 1.8 } }),
    ...perftool.points(shown, found, place, told, (members) => members.length <= perftool.MOST_BARS)];
  if (shown.some(perftool.isDropped)) {
    traces.push(perftool.key({ label: "hollow: dropped by the race", colour: perftool.token("soft"), symbol: "circle-open" }));
  }
  if (chosen !== null && across.point[chosen] !== null) traces.push(perftool.ring(across.point[chosen], up.point[chosen]));
  const named = new Set([chosen, ...shown.filter((row) => rows.baseline[row]), ...now, ...front]);
  traces.push(perftool.labels([...named].filter((row) => shown.includes(row))
    .slice(0, perftool.narrow() ? perftool.MOST_NARROW : perftool.MOST_LABELS), shown, beside, frame,
    [...perftool.stepsOf(front, frame), ...perftool.stepsOf(now, frame)]));
  perftool.tellDrawn(shown, beside);
  const bound = perftool.bounds.latency_p50;
  const xaxis = perftool.axis("latency per request under load, p50 (ms)", shown.map((row) => across.point[row]));
  perftool.draw("tradeoff-chart", traces, { height, legend: perftool.legend(-60 / tall), xaxis: { ...xaxis, range: frame.ranges[0] },
    yaxis: { ...perftool.axis("throughput (images/s)"), range: frame.ranges[1] },
    shapes: bound === undefined ? [] : [perftool.limitLine({ x0: bound, x1: bound, yref: "paper", y0: 0, y1: 1 })] });
};

// ---------------------------------------------------------------- where points lie, and their labels

// The ranges of both axes, and about where on the screen a row lies in them.
perftool.frameOf = (shown, place, tall) => {
  const ends = (side) => shown.flatMap((row) => Object.values(place(row)[side])).filter((value) => value !== null && value > 0);
  const log = perftool.axis("", shown.map((row) => place(row).x.point)).type === "log";
  const scale = log ? Math.log10 : (value) => value;
  const [least, most] = [Math.min(...ends("x")), Math.max(...ends("x"))].map(scale);
  const room = 0.09 * (most - least) || (log ? 0.2 : 0.1 * most || 1);
  const ranges = [[least - room, most + room], [0, 1.1 * Math.max(...ends("y"))]];
  const width = Math.max(200, perftool.widthOf("tradeoff-chart") - 75);
  const at = (row) => ({ x: (width * (scale(place(row).x.point) - ranges[0][0])) / (ranges[0][1] - ranges[0][0]),
    y: tall * (1 - place(row).y.point / ranges[1][1]) });
  return { ranges, width, tall, place, at };
};

// For each row the others whose signs lie on its own.
perftool.together = (shown, { at }) => {
  const places = shown.map((row) => ({ row, ...at(row) })).sort((a, b) => a.x - b.x);
  const found = new Map(shown.map((row) => [row, []]));
  places.forEach((one, first) => {
    for (let next = first + 1; next < places.length && places[next].x - one.x < 5; next += 1) {
      if (Math.abs(places[next].y - one.y) < 5) {
        found.get(one.row).push(places[next].row);
        found.get(places[next].row).push(one.row);
      }
    }
  });
  return found;
};

// Where a front's line runs: down from each point, then on to the next.
perftool.stepsOf = (members, { at }) => members.slice(1).flatMap((row, before) => {
  const [from, to] = [at(members[before]), at(row)];
  const box = (x1, x2, y1, y2) => ({ left: Math.min(x1, x2) - 2, right: Math.max(x1, x2) + 2, top: Math.min(y1, y2) - 2, bottom: Math.max(y1, y2) + 2 });
  return [box(from.x, from.x, from.y, to.y), box(from.x, to.x, to.y, to.y)];
});

perftool.SIDES = [["middle right", 1, 0], ["middle left", -1, 0], ["top center", 0, -1], ["bottom center", 0, 1],
  ["top right", 1, -1], ["bottom right", 1, 1], ["top left", -1, -1], ["bottom left", -1, 1]];

// Name some points beside them, where a name covers least; what lies under a named point shares its name.
perftool.labels = (named, shown, beside, frame, lines) => {
  const { rows } = perftool.content;
  const taken = [...lines, ...shown.map(frame.at).map(({ x, y }) => ({ left: x - 8, right: x + 8, top: y - 8, bottom: y + 8 }))];
  const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
    Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const told = new Set();
  const labels = [];
  for (const row of named) {
    if (told.has(row)) continue;
    const under = beside.get(row).filter((other) => !told.has(other));
    [row, ...under].forEach((one) => told.add(one));
    const text = rows.name[row] + (under.length === 1 && !perftool.narrow() ? `, ${rows.name[under[0]]}` : under.length ? ` +${under.length}` : "");
    const { x, y } = frame.at(row);
    const [wide, high] = [6.3 * text.length, 14];
    const boxes = perftool.SIDES.map(([side, right, down]) => {
      const middle = { x: x + right * (wide / 2 + 11), y: y + down * (high / 2 + (right ? 5 : 11)) };
      const box = { left: middle.x - wide / 2, right: middle.x + wide / 2, top: middle.y - high / 2, bottom: middle.y + high / 2 };
      const outside = wide * high - overlap(box, { left: 0, right: frame.width, top: 0, bottom: frame.tall });
      return { side, box, cost: 4 * outside + taken.reduce((sum, other) => sum + overlap(box, other), 0) };
    });
    const best = boxes.reduce((a, b) => (b.cost < a.cost ? b : a));
    taken.push(best.box);
    labels.push({ row, text, side: best.side });
  }
  return { x: labels.map(({ row }) => frame.place(row).x.point), y: labels.map(({ row }) => frame.place(row).y.point),
    text: labels.map(({ text }) => perftool.inert(text)), textposition: labels.map(({ side }) => side), mode: "markers+text",
    // Markers that are not seen keep the names off those that are.
    marker: { size: labels.map(({ row }) => (row === named[0] ? 20 : 13)), opacity: 0, line: { width: 0 } }, type: "scatter", hoverinfo: "skip", showlegend: false, name: "labels", textfont: { size: 11, color: perftool.token("ink") } };
};

// Say what is drawn without bars, what lies on one another, and what is not drawn at all.
perftool.tellDrawn = (shown, beside) => {
  const { rows } = perftool.content;
  const listed = (ids) => ids.slice(0, 3).join(", ") + (ids.length > 3 ? ` and ${ids.length - 3} more` : "");
  const bare = perftool.byLook(shown).filter(([, members]) => members.length > perftool.MOST_BARS).map(([look]) => look.label);
  const left = rows.id.filter((_, row) => rows.status[row] === "ok" && rows.figures.latency_p50.point[row] === null);
  const pairs = shown.flatMap((row) => beside.get(row).filter((other) => other > row).map((other) => `${rows.id[row]} and ${rows.id[other]}`));
  perftool.setText("tradeoff-drawn", "Bars are 95 % intervals over visits" +
    (bare.length ? `, left out where a precision has more points than ${perftool.MOST_BARS}: ${bare.join(", ")}.` : ".") +
    (pairs.length ? ` On one another: ${listed(pairs)}.` : "") +
    (left.length ? ` Not drawn, without a measurable p50: ${listed(left)}.` : ""));
};
