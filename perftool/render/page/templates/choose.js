"use strict";
window.perftool = {};

// Choose under limits, exactly as perftool's analysis does it. Everything that takes statistics was foreseen:
// candidates come in the order of the objective, and each that could lead brings how all others stand
// against it. What is left is to filter, to take the first, and of those tied with it the simplest, until
// fresh rounds do not refuse the choice. `bounds` has a number for each limited metric.
perftool.choose = (foreseen, bounds) => {
  const limits = perftool.limitsOf(foreseen, bounds);
  const kept = perftool.keeping(foreseen, limits);
  const refused = new Map();
  for (;;) {
    const passes = perftool.passing(foreseen, kept, refused);
    const pick = perftool.lead(foreseen, passes);
    if (pick === null) return { kept, passes, refused, leader: null, chosen: null };
    const fresh = foreseen.fresh.find((one) => one.candidate === pick.chosen && one.why === null);
    const against = fresh ? perftool.refusals(fresh, passes, limits) : null;
    if (!against || !(against.beaten.length || against.missed.length)) {
      return { kept, passes, refused, fresh, ...pick };
    }
    refused.set(pick.chosen, against);
  }
};

perftool.limitsOf = (foreseen, bounds) => foreseen.controls
  .filter((control) => bounds[control.metric] !== undefined)
  .map((control) => ({ metric: control.metric, way: control.way, bound: bounds[control.metric] }));

// Which candidates keep every limit.
perftool.keeping = (foreseen, limits) => foreseen.ids.map((_, row) =>
  limits.every(({ metric, way, bound }) => perftool.keeps(foreseen.columns[metric][row], way, bound)));

// Write out the runs of letters that a lead has been shortened to.
perftool.unpack = (foreseen) => {
  for (const lead of Object.values(foreseen.leads ?? {})) {
    lead.kinds = lead.kinds.replace(/([wtub])(\d+)/g, (_, kind, count) => kind.repeat(Number(count)));
  }
  return foreseen;
};

perftool.keeps = (value, way, bound) => value !== null && (way === "<=" ? value <= bound : value >= bound);

// Who passes: not what is refused, nor what a race dropped while what beat it keeps the limits and is not
// refused (-1: nothing keeps it out, -2: what beat it is no candidate, and always does).
perftool.passing = (foreseen, kept, refused) => {
  const able = kept.map((keeps, row) => keeps && !refused.has(row));
  return able.map((is, row) => {
    const by = foreseen.beaten_by[row];
    return is && by !== -2 && !(by >= 0 && able[by]);
  });
};

// The best leads, unless another that passes beats it; none leads twice. Of the leader and those tied with
// it the simplest is chosen; the leader, where it is as simple.
perftool.lead = (foreseen, passes) => {
  let leader = passes.indexOf(true);
  if (leader < 0) return null;
  const led = [];
  for (let next = leader; next !== undefined;) {
    leader = next;
    led.push(leader);
    next = foreseen.leads[leader].better.find((row) => passes[row] && !led.includes(row));
  }
  const { start, kinds } = foreseen.leads[leader];
  const standing = (row) => (row === leader ? "l" : (row >= start && kinds[row - start]) || "w");
  const rows = passes.flatMap((is, row) => (is ? [row] : []));
  const tied = rows.filter((row) => "lt".includes(standing(row)));
  const simplest = Math.min(...tied.map((row) => foreseen.simple[row]));
  const first = (a, b) => (foreseen.order[b] < foreseen.order[a] ? b : a);
  const chosen = foreseen.simple[leader] === simplest ? leader : tied.reduce(first);
  const others = rows.filter((row) => row !== chosen);
  const close = others.filter((row) => standing(row) !== "w");
  const runnerUp = (close.length ? close : others)[0] ?? null;
  return { leader, led, standing, tied, chosen, runnerUp };
};

// What fresh rounds say against a choice: who beat it there and passes, and which limits it misses there.
perftool.refusals = (fresh, passes, limits) => ({
  rounds: fresh.rounds,
  beaten: fresh.beaten_by.filter((row) => passes[row]),
  missed: limits.filter(({ metric, way, bound }) =>
    fresh.figures[metric] !== undefined && !perftool.keeps(fresh.figures[metric], way, bound)),
});
