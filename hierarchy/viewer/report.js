// Nothing here is needed: the page is whole without it.
"use strict";
// A link into something folded opens it.
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  let opened = false;
  for (let at = target.parentElement; at; at = at.parentElement) {
    if (at.tagName === "DETAILS" && !at.open) opened = at.open = true;
  }
  if (opened) target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();
// Everything in a part can be opened and folded at once.
for (const name of ["map", "calls", "document"]) {
  const part = document.getElementById(name);
  const folds = part ? part.querySelectorAll("details") : [];
  if (folds.length < 2) continue;
  const began = Array.from(folds, (fold) => fold.open);
  const bar = document.createElement("p");
  bar.className = "buttons";
  const button = (label, state) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.addEventListener("click", () => folds.forEach((fold, place) => { fold.open = state(place); }));
    bar.append(made);
  };
  button("Open all", () => true);
  button("Fold all", () => false);
  button("As it was", (place) => began[place]);
  part.querySelector("h2").after(bar);
}
