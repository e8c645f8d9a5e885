"use strict";
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const get = (id) => document.getElementById(id);
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  // A name that is put into a path: a case may be called what a URL would read otherwise.
  const place = (row, ending) => `${encodeURIComponent(row.case)}/${encodeURIComponent(row.case + ending)}`;

  // ---- table -------------------------------------------------------------------------------------------------------
  const numeric = new Set(run.columns.filter((column) => run.rows.some((row) => typeof row[column] === "number")));
  let order = { column: "", ascending: true };

  const compare = (first, second) => {
    if (!order.column) return (second.flags !== "") - (first.flags !== "");
    const [one, other] = [first[order.column], second[order.column]];
    // What has no value comes last, whatever the direction.
    if (one === "" || other === "") return (one === "") - (other === "");
    const difference = numeric.has(order.column) ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
    return order.ascending ? difference : -difference;
  };

  const cell = (row, column) => {
    if (column === "flags") {
      const flags = row.flags ? row.flags.split(" ") : [];
      return make("td", {}, ...flags.map((flag) => make("span", { className: "flag", textContent: flag })));
    }
    return make("td", {
      textContent: row[column],
      className: numeric.has(column) ? "number" : column === "warnings" ? "text" : "",
    });
  };

  const draw = () => {
    get("head").replaceChildren(make("th", { textContent: "" }), ...run.columns.map((column) => {
      const button = make("button", { type: "button", textContent: column.replaceAll("_", " ") });
      button.onclick = () => {
        order = { column, ascending: order.column === column ? !order.ascending : true };
        draw();
      };
      const head = make("th", {}, button);
      if (order.column === column) head.ariaSort = order.ascending ? "ascending" : "descending";
      return head;
    }));
    get("body").replaceChildren(...[...run.rows].sort(compare).map((row) => {
      const picture = row.thumbnail || (row.picture && place(row, row.picture));
      const first = make("td", {}, ...(picture ? [make("img", { src: picture, alt: "", loading: "lazy" })] : []));
      const line = make("tr", { tabIndex: 0, className: row.flags ? "flagged" : "" }, first, ...run.columns.map((column) => cell(row, column)));
      line.dataset.case = row.case;
      line.onclick = () => show(row);
      line.onkeydown = (event) => event.key === "Enter" && show(row);
      return line;
    }));
  };

  // ---- one case ----------------------------------------------------------------------------------------------------
  let brain = null;
  let shown = 0; // of the calls of show: pictures of an earlier one that load late are left alone

  const load = (source) => new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("a picture of the page cannot be read"));
    image.src = source;
  });

  const onCanvas = (width, height) => make("canvas", { width, height });

  const coloured = (numbers, classes) => {
    const canvas = onCanvas(numbers.width, numbers.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(numbers, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const table = new Map(classes.map((one) => [one.number, [1, 3, 5].map((at) => parseInt(one.colour.slice(at, at + 2), 16))]));
    for (let at = 0; at < pixels.data.length; at += 4) {
      const colour = table.get(pixels.data[at]);
      pixels.data.set(colour ? [...colour, 255] : [0, 0, 0, 0], at);
    }
    context.putImageData(pixels, 0, 0);
    return canvas;
  };

  const redraw = () => {
    brain.init();
    brain.drawAll();
  };

  const show = async (row) => {
    shown += 1;
    const turn = shown;
    brain = null;
    document.querySelectorAll("tbody tr").forEach((line) => line.classList.toggle("open", line.dataset.case === row.case));
    get("viewer").hidden = false;
    get("viewer-title").textContent = row.case;
    get("viewer-warnings").textContent = row.warnings;
    get("files").replaceChildren(...(row.status === "refused" ? [] : [
      ...(row.picture ? [make("a", { href: place(row, row.picture), textContent: "picture" })] : []),
      make("a", { href: place(row, "_report.json"), textContent: "report" }),
    ]));
    const data = [...document.querySelectorAll("script.preview")].find((element) => element.dataset.case === row.case);
    const interactive = Boolean(data) && typeof brainsprite === "function";
    get("controls").hidden = !interactive;
    get("stage").replaceChildren(...(!interactive && row.picture ? [make("img", { src: place(row, row.picture), alt: `picture of ${row.case}` })] : []));
    get("viewer").scrollIntoView({ block: "start" });
    if (interactive) await start(JSON.parse(data.textContent), turn);
  };

  const start = async (preview, turn) => {
    const names = Object.keys(preview.images);
    const pictures = await Promise.all([preview.labels, ...Object.values(preview.images)].map(load));
    if (turn !== shown) return;
    const [numbers, ...images] = pictures;
    const overlay = Object.assign(coloured(numbers, preview.classes), { id: "overlay", hidden: true });
    const sprite = Object.assign(images[images.length - 1], { id: "sprite", hidden: true });
    const canvas = make("canvas", { id: "planes" });
    get("stage").replaceChildren(canvas, sprite, overlay);
    const [X, Y, Z] = preview.start;
    brain = brainsprite({
      canvas: "planes",
      sprite: "sprite",
      nbSlice: preview.slices,
      overlay: { sprite: "overlay", nbSlice: preview.slices, opacity: get("opacity").value / 100 },
      numSlice: { X, Y, Z },
      radiological: true,
      crosshair: true,
      colorCrosshair: "#5b8dd9",
      onclick: () => follow(),
    });
    for (const axis of "XYZ") {
      const slider = get(`slice-${axis}`);
      slider.max = preview.slices[axis] - 1;
      slider.oninput = () => {
        brain.numSlice[axis] = Number(slider.value);
        brain.drawAll();
      };
    }
    const follow = () => { for (const axis of "XYZ") get(`slice-${axis}`).value = brain.numSlice[axis]; };
    follow();
    get("opacity").oninput = () => {
      brain.overlay.opacity = get("opacity").value / 100;
      redraw();
    };
    get("images").replaceChildren(get("images").firstElementChild, ...names.map((name, number) => {
      const choice = make("input", { type: "radio", name: "image", value: name, checked: number === names.length - 1 });
      choice.onchange = () => {
        brain.sprite = images[number];
        redraw();
      };
      return make("label", {}, choice, name);
    }));
    get("classes").replaceChildren(get("classes").firstElementChild, ...preview.classes.map((one) => {
      const choice = make("input", { type: "checkbox", value: one.number, checked: true });
      choice.onchange = () => {
        const on = new Set([...get("classes").querySelectorAll("input:checked")].map((input) => Number(input.value)));
        brain.overlay.sprite = coloured(numbers, preview.classes.filter((other) => on.has(other.number)));
        redraw();
      };
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = one.colour;
      return make("label", {}, choice, swatch, one.name);
    }));
    redraw();
  };

  get("close").onclick = () => {
    shown += 1;
    get("viewer").hidden = true;
    document.querySelectorAll("tr.open").forEach((line) => line.classList.remove("open"));
  };
  get("summary").textContent = run.summary;
  draw();
})();
