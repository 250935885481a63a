// The sliders: what one search has instead of the index's settings.

import { element, find } from "./elements.js";

const SLIDERS = [
  { name: "weight", label: "Weight", help: "of meaning against OpenSearch's score", min: 0, step: 0.5 },
  { name: "feedback", label: "Feedback", help: "likeness to the best hits", min: 0, max: 2, step: 0.05 },
  { name: "smoothing", label: "Smoothing", help: "share of similar hits' scores", min: 0, max: 1, step: 0.05 },
  { name: "window", label: "Window", help: "hits of OpenSearch that are reordered", min: 1, step: 1 },
];
const SETTINGS = {
  weight: "fusion.weight", feedback: "fusion.feedback", smoothing: "fusion.smoothing", window: "window_size",
};
const DIGITS = 2;
const MAX_WEIGHT = 40;
const USUAL_WEIGHT = 20;
const USUAL_WINDOW = 500;
const MAX_WINDOW = 10_000;

/** The four sliders. `onChange` is called when a person moves one, or resets them. */
export class Sliders {
  constructor(onChange) {
    this.onChange = onChange;
    this.settings = null;
    this.chosen = {};
    this.parts = Object.fromEntries(SLIDERS.map((slider) => [slider.name, this.#make(slider)]));
    find("sliders").replaceChildren(...Object.values(this.parts).map((part) => part.box));
    find("reset").addEventListener("click", () => this.#reset());
  }

  /** Show an index's settings, null for an index without; `chosen` are values that differ. */
  show(settings, chosen = {}) {
    this.settings = settings;
    this.chosen = {};
    find("controls").hidden = settings === null;
    if (settings === null) return;
    for (const slider of SLIDERS) this.#fit(slider, chosen[slider.name]);
    this.#refresh();
  }

  /** Show the values that a search used, on the sliders that nobody has moved: a body may have its own. */
  follow(used) {
    if (this.settings === null || !used) return;
    for (const name of ["weight", "feedback", "smoothing"]) {
      if (!(name in this.chosen) && Number.isFinite(used[name])) setValue(this.parts[name].input, used[name]);
    }
    this.#refresh();
  }

  /** Return what the sliders say, in the form of `ext.rerank`. */
  get rerank() {
    const { window: window_size, ...fusion } = this.chosen;
    return {
      ...(window_size === undefined ? {} : { window_size }),
      ...(Object.keys(fusion).length ? { fusion } : {}),
    };
  }

  /** Return the command that makes the values the index's own, empty if nothing differs. */
  formatCommand(index) {
    const set = Object.entries(this.chosen).map(([name, value]) => `--set ${SETTINGS[name]}=${value}`);
    return set.length ? `twinrank enable ${index} ${set.join(" ")}` : "";
  }

  #make(slider) {
    const { name, label, help } = slider;
    const input = element("input", {
      type: "range", id: name, "aria-describedby": `${name}-help`, input: () => this.#move(slider),
    });
    const output = element("output", { for: name });
    const box = element("div", { class: "slider" },
      element("div", { class: "slider-head" }, element("label", { for: name }, label), output),
      input,
      element("p", { id: `${name}-help`, class: "help" }, help));
    return { box, input, output };
  }

  #setting(name) {
    return this.settings[name === "window" ? "window_size" : name];
  }

  #fit(slider, chosen) {
    const { input } = this.parts[slider.name];
    const setting = this.#setting(slider.name);
    input.disabled = setting === null || (this.settings.method === "none" && slider.name !== "window");
    const { max, step } = { ...slider, ...this.#range(slider.name, setting, chosen) };
    Object.assign(input, { min: slider.min, max });
    input.dataset.step = step;
    setValue(input, setting ?? 0);
    if (chosen !== undefined && !input.disabled) {
      setValue(input, chosen);
      this.#choose(slider.name, Number(input.value));
    }
  }

  #range(name, setting, chosen) {
    const most = Math.max(setting ?? 0, chosen ?? 0);
    if (name === "window") {
      const allowed = Math.min(this.settings.max_window || MAX_WINDOW, MAX_WINDOW);
      return { max: Math.min(allowed, Math.max(USUAL_WINDOW, 2 * most)) };
    }
    if (name !== "weight") return {};
    if (this.settings.method !== "log_linear") return { max: 1, step: 0.01 };
    return { max: most > USUAL_WEIGHT ? MAX_WEIGHT : USUAL_WEIGHT };
  }

  #move(slider) {
    this.#choose(slider.name, Number(Number(this.parts[slider.name].input.value).toFixed(DIGITS)));
    this.#refresh();
    this.onChange();
  }

  #choose(name, value) {
    if (value === this.#setting(name)) delete this.chosen[name];
    else this.chosen[name] = value;
  }

  #reset() {
    this.show(this.settings);
    this.onChange();
    find("weight").focus();
  }

  #refresh() {
    for (const { name } of SLIDERS) {
      const { input, output, box } = this.parts[name];
      const format = (value) => Number(value).toLocaleString("en", { maximumFractionDigits: DIGITS });
      const isChosen = name in this.chosen;
      box.classList.toggle("chosen", isChosen);
      output.textContent = input.disabled ? "–" : format(input.value);
      if (isChosen) output.append(element("small", {}, ` index: ${format(this.#setting(name))}`));
      const share = (input.value - input.min) / ((input.max - input.min) || 1);
      input.style.setProperty("--share", `${100 * share}%`);
    }
    find("reset").disabled = Object.keys(this.chosen).length === 0;
  }
}

/** Set a slider to a value, though it may lie between the slider's steps. */
function setValue(input, value) {
  const steps = (value - input.min) / input.dataset.step;
  input.step = Math.abs(steps - Math.round(steps)) < 1e-6 ? input.dataset.step : "any";
  input.value = value;
}
