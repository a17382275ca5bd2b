"use strict";
// One configuration in full, over the page: from a row of the table, or a point of a chart.

perftool.showDetails = (row) => {
  const { rows, columns, sentences } = perftool.content;
  const pair = (name, value) => perftool.element("div", {}, perftool.element("dt", {}, name), perftool.element("dd", {}, value));
  const counts = [["visits", rows.visits[row]], ["samples of latency", rows.samples[row]], ["threads", rows.threads[row]],
    ["runs in", perftool.runsIn(row)]].filter(([, value]) => value !== null && value !== 0);
  const figures = columns.filter(({ name }) => rows.figures[name].point[row] !== null)
    .map(({ name, label }) => {
      const [value, unit, ends] = perftool.written(name, row);
      return [label, [value, unit, ends === "" || ends.startsWith("(") ? ends : `(${ends})`].filter(Boolean).join(" ")];
    });
  perftool.setText("details-id", rows.id[row]);
  perftool.setText("details-what", perftool.whatIs(row));
  const why = perftool.whyRow(row);
  perftool.setText("details-why", row === perftool.chosenRow ? "The choice." : why === "" ? "" :
    (rows.baseline[row] || rows.status[row] !== "ok" ? "" : "Not chosen: ") + why);
  perftool.fill("details-figures", [...figures, ...counts].map(([name, value]) => pair(name, String(value))));
  perftool.fill("details-warnings", rows.warnings[row].map((number) => perftool.element("li", {}, sentences[number])));
  const compile = perftool.compileText(row);
  document.getElementById("details-compile-block").hidden = compile === null;
  perftool.setText("details-compile", compile ?? "");
  document.getElementById("details").showModal();
};

// How to compile it, to copy; null where its properties are not on the page.
perftool.compileText = (row) => {
  const { rows } = perftool.content;
  const properties = rows.properties[row];
  if (properties === undefined) return null;
  return `compile_model(model, ${JSON.stringify(rows.device[row])}, ${JSON.stringify(properties, null, 1).replace(/\n\s*/g, " ")})`;
};

perftool.buildDetails = () => {
  const dialog = document.getElementById("details");
  document.getElementById("details-close").addEventListener("click", () => dialog.close());
  // Beside the dialog is outside: what lies inside of it has a box of its own.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
};
