"use strict";
// Figures and reasons in words. Names come from outside: they are only ever set as text.

perftool.content = JSON.parse(document.getElementById("content").textContent);
perftool.unpack(perftool.content.foreseen);

perftool.column = (name) => perftool.content.columns.find((column) => column.name === name);

// A figure of a row: its point and its interval's ends.
perftool.figureOf = (name, row) => {
  const { point, low, high } = perftool.content.rows.figures[name];
  return { point: point[row], low: low[row], high: high[row] };
};

// A figure of a row with its interval, as short as a table wants it.
perftool.figure = (name, row) => {
  const { digits, spread } = perftool.column(name);
  const figure = perftool.figureOf(name, row);
  if (figure.point === null) return "–";
  if (name === "top1_drop" && perftool.content.rows.reference[row]) return "reference";
  const text = perftool.withInterval(figure, digits);
  if (text.startsWith("≥") || (figure.low !== null && figure.high !== null)) return text;
  return text + (perftool.interval(name, row) || (spread ? " ±?" : ""));
};

perftool.interval = (name, row) => {
  const figure = perftool.figureOf(name, row);
  const decimals = perftool.decimals(figure, perftool.column(name).digits);
  return perftool.span(figure, (value) => perftool.fixed(value, decimals));
};

// An interval in brackets; an end that is not known is a question mark, and without any there is nothing to say.
perftool.span = ({ low, high }, written) => {
  const end = (value) => (value === null ? "?" : written(value));
  return low === null && high === null ? "" : ` (${end(low)} to ${end(high)})`;
};

// A limit as perftool writes it: percentage points always with a decimal.
perftool.boundText = ({ unit }, bound) => {
  const text = String(Number(bound.toPrecision(10)));
  return `${unit === "pp" && !/[.e]/.test(text) ? `${text}.0` : text} ${unit}`;
};

perftool.limitText = (control, bound) => `${control.called} ${control.way} ${perftool.boundText(control, bound)}`;

// The row of the page's table that a candidate is.
perftool.rowOf = (candidate) => perftool.content.candidates[candidate];
perftool.idOf = (candidate) => perftool.content.rows.id[perftool.rowOf(candidate)];

perftool.complexity = (row) => {
  const { rows } = perftool.content;
  const unknown = (value) => (value === null ? Infinity : value);
  const memory = rows.figures.peak_rss ? rows.figures.peak_rss.point[row] : null;
  return [unknown(rows.streams[row]), rows.batch[row], unknown(rows.requests[row]),
    memory === null ? Infinity : Number(memory.toPrecision(2))];
};

perftool.moreComplex = (row, than) => {
  const mine = perftool.complexity(row);
  const its = perftool.complexity(than);
  const at = mine.findIndex((value, place) => value !== its[place]);
  return ["more streams", "a larger batch", "more requests in flight", "more memory"][at] || "no simpler";
};

perftool.among = (found) => {
  const count = found.passes.filter(Boolean).length;
  return count === 1 ? "the only configuration that passes" : `of the ${count} that pass`;
};

// Why this one, in the words of `perftool recommend`.
perftool.whyChosen = (found) => {
  const { objective, band } = perftool.content;
  const { leader, chosen } = found;
  const among = perftool.among(found);
  const only = among.startsWith("the only");
  if (chosen === leader) {
    const undecided = found.passes.flatMap((is, row) => (is && "ub".includes(found.standing(row)) ? [row] : []));
    const against = undecided.length === 1 ? perftool.idOf(undecided[0]) : `${undecided.length} others`;
    const ties = found.tied.filter((row) => row !== chosen);
    const one = ties.length === 1 && perftool.moreComplex(perftool.rowOf(ties[0]), perftool.rowOf(chosen));
    return (only ? among : `${objective.superlative} ${among}`) +
      (one ? `; tied within ${Math.round(100 * band)}% with ${perftool.idOf(ties[0])}, which is ${one === "no simpler" ? one : `not simpler (${one} there)`}` : "") +
      (ties.length > 1 ? `; tied within ${Math.round(100 * band)}% with ${ties.length} others, none of them simpler` : "") +
      (undecided.length ? `; undecided against ${against}, so the better point estimate wins` : "");
  }
  const more = perftool.moreComplex(perftool.rowOf(leader), perftool.rowOf(chosen));
  return `tied within ${Math.round(100 * band)}% with ${perftool.idOf(leader)}, the ${objective.superlative} ` +
    `${among}, and simpler (${more} there)`;
};

// Why a candidate is not chosen under the present limits.
perftool.whyNot = (found, candidate) => {
  const { foreseen } = perftool.content;
  if (found.chosen === candidate) return "";
  if (found.refused.has(candidate)) return perftool.refusalText(found.refused.get(candidate));
  const row = perftool.rowOf(candidate);
  const by = foreseen.beaten_by[candidate];
  const misses = perftool.missesOf(row);
  const out = by === -2 || (by >= 0 && found.kept[by] && !found.refused.has(by));
  if (out || misses.length) return [...perftool.droppedText(row), ...misses].join("; ");
  const kind = found.standing(candidate);
  if ("lt".includes(kind)) {
    const chosen = perftool.rowOf(found.chosen);
    return `tied with ${perftool.idOf(found.chosen)}, ${perftool.moreComplex(row, chosen)}`;
  }
  return `${kind === "w" ? "beaten by" : "undecided against"} ${perftool.idOf(found.leader)}`;
};

// What the race says of a row, without what misses the run's own limits: those may have been moved.
perftool.droppedText = (row) => {
  const dropped = perftool.content.rows.dropped[row];
  if (dropped === null) return [];
  const own = perftool.content.foreseen.controls.filter((control) => control.own !== null)
    .map((control) => perftool.missText(control, row, control.own));
  return dropped.split("; ").filter((clause) => !own.includes(clause));
};

// The exact figure that limits are held against, and why there is none: of a candidate, or of a baseline.
perftool.valueOf = (metric, row) => {
  const { foreseen, card: { held } } = perftool.content;
  const candidate = perftool.candidateOf.get(row);
  return candidate === undefined ? held.columns[metric][held.rows.indexOf(row)] : foreseen.columns[metric][candidate];
};
perftool.whyMissing = (metric, row) => {
  const { foreseen, card: { held } } = perftool.content;
  const candidate = perftool.candidateOf.get(row);
  return candidate === undefined ? held.missing[metric][held.rows.indexOf(row)] : foreseen.sentences[foreseen.missing[metric][candidate]];
};

perftool.missText = (control, row, bound) => {
  const value = perftool.valueOf(control.metric, row);
  if (value === null) return perftool.whyMissing(control.metric, row);
  let text = "";
  for (let digits = control.digits; digits < 7; digits += 1) {
    text = value.toFixed(digits);
    if (!perftool.keeps(Number(text), control.way, bound)) break;
  }
  return `${control.called} ${text} ${control.unit} ${control.way === "<=" ? ">" : "<"} ${perftool.boundText(control, bound)}`;
};

// Which limits a candidate or a baseline misses; of what is neither nobody asks.
perftool.missesOf = (row) => perftool.content.foreseen.controls
  .filter(({ metric }) => perftool.bounds[metric] !== undefined && perftool.valueOf(metric, row) !== undefined)
  .filter(({ metric, way }) => !perftool.keeps(perftool.valueOf(metric, row), way, perftool.bounds[metric]))
  .map((control) => perftool.missText(control, row, perftool.bounds[control.metric]));

perftool.refusalText = (refusal) => {
  const { foreseen } = perftool.content;
  const beaten = refusal.beaten.map((candidate) => `beaten by ${perftool.idOf(candidate)}`);
  const missed = refusal.missed.map(({ metric, bound }) => {
    const control = foreseen.controls.find((one) => one.metric === metric);
    return `misses ${perftool.limitText(control, bound)}`;
  });
  return `not confirmed: in ${refusal.rounds} fresh rounds ${[...beaten, ...missed].join("; ")}`;
};

// Why a choice is not confirmed; null where it is. `fresh` is undefined where it has no rounds that count.
perftool.whyUnconfirmed = (found) => {
  const { foreseen, least_rounds: least } = perftool.content;
  const { never, exhausted, elsewhere, not_made: notMade, choices, again } = foreseen.unconfirmed;
  const takes = `an interval takes ${least}`;
  if (found.fresh) {
    const { rounds, shared } = found.fresh;
    if (rounds < least) return `${rounds} fresh rounds, and ${takes}`;
    const had = found.runnerUp === null ? least : shared[found.runnerUp] || 0;
    if (had >= least) return null;
    const where = had ? `in ${had} of the fresh rounds, and ${takes}` : "not in the fresh rounds";
    return `its runner-up ${perftool.idOf(found.runnerUp)} was ${where}`;
  }
  if (never) return never;
  const begun = foreseen.fresh.find((one) => one.candidate === found.chosen);
  if (begun) return begun.why;
  if (found.refused.size >= choices) return exhausted;
  const names = new Set([...found.refused.keys()].map((candidate) => foreseen.ids[candidate]));
  const standing = again.filter((id) => !names.has(id));
  return standing.length ? elsewhere.replace("{id}", () => standing.at(-1)) : notMade;
};

perftool.confirmedIn = ({ rounds, processes }) =>
  `confirmed in ${rounds} fresh rounds, ${processes} process${processes === 1 ? "" : "es"} each`;

// Whose interval crosses a limit: the point estimate decides, and the reader should know.
perftool.crossed = (row) => perftool.content.foreseen.controls
  .filter(({ metric }) => perftool.bounds[metric] !== undefined && perftool.content.rows.figures[metric])
  .filter(({ metric, spread }) => {
    const { point, low, high } = perftool.content.rows.figures[metric];
    const bound = perftool.bounds[metric];
    if (point[row] === null) return false;
    if (low[row] === null) return spread;
    return low[row] < bound && (high[row] === null || bound < high[row]);
  });

// The nearest misses where nothing passes, by their largest miss relative to its limit; of equals those with fewer.
perftool.nearest = () => {
  const { foreseen } = perftool.content;
  const limits = foreseen.controls.filter(({ metric }) => perftool.bounds[metric] !== undefined);
  const misses = (candidate) => limits.map(({ metric, way }) => {
    const value = foreseen.columns[metric][candidate];
    const bound = perftool.bounds[metric];
    if (value === null) return Infinity;
    return perftool.keeps(value, way, bound) ? 0 : Math.abs(value - bound) / Math.max(bound, 1);
  }).filter((miss) => miss > 0);
  return foreseen.ids.map((id, candidate) => ({ candidate, misses: misses(candidate), id }))
    .map((one) => ({ ...one, excess: Math.max(...one.misses, 0) }))
    .filter((one) => one.excess > 0 && one.excess < Infinity)
    .sort((a, b) => a.excess - b.excess || a.misses.length - b.misses.length || (a.id < b.id ? -1 : 1)).slice(0, 3);
};

// The command that chooses alike: only what differs from the run's own limits is given.
perftool.command = () => {
  const quoted = (text) => (/^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const { run, foreseen } = perftool.content;
  const given = foreseen.controls.flatMap(({ metric, way, own }) => {
    const bound = perftool.bounds[metric];
    if (bound === (own ?? undefined)) return [];
    return [`--limit '${metric} ${way} ${bound ?? (way === "<=" ? "inf" : "-inf")}'`];
  });
  return ["perftool recommend", quoted(run), ...given].join(" ");
};
