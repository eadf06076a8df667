// A song with the found hits clicked over it. Without this script the page keeps a plain player and the lanes.
"use strict";
const CLICK_S = 0.05, DECAY_S = 0.009, ATTACK_S = 0.001, START_S = 0.06, STEP_S = 2;
const ZOOMS_PX = [0, 16, 32, 64, 128, 256, 512]; // pixels a second; 0 fits the window
const FINE_PX = 40; // from here on every second has room for its label

function clickBuffer(context, lane) {
  const buffer = context.createBuffer(1, Math.round(CLICK_S * context.sampleRate), context.sampleRate);
  const samples = buffer.getChannelData(0);
  let seed = 1;
  for (let i = 0; i < samples.length; i += 1) {
    const t = i / context.sampleRate;
    seed = (seed * 16807) % 2147483647;
    const hiss = seed / 1073741823.5 - 1;
    const tone = Math.sin(2 * Math.PI * lane.hz * t);
    samples[i] = Math.min(1, t / ATTACK_S) * Math.exp(-t / DECAY_S) * ((1 - lane.noise) * tone + lane.noise * hiss);
  }
  return buffer;
}

function bytes(address) {
  const text = atob(address.slice(address.indexOf(",") + 1));
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) out[i] = text.charCodeAt(i);
  return out.buffer;
}

function shown(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

function listening(root) {
  const find = (what) => root.querySelector(what);
  const data = JSON.parse(find("script").textContent);
  const [audio, trouble, desk, play, clock] = ["audio", ".trouble", ".desk", ".play", ".clock"].map(find);
  const [scroll, sheet, cursor] = [".scroll", ".sheet", ".cursor"].map(find);
  const boxes = [...root.querySelectorAll(".lane-name input[type=checkbox]")];
  const levels = [...root.querySelectorAll(".lane-name input[type=range]")];
  const [songOn, songLevel, clicksOn, clicksLevel] = [".song-on", ".song-level", ".clicks-on", ".clicks-level"].map(find);
  let context = null, song = null, desks = null, sounding = [];
  let running = false, from = 0, began = 0, zoom = 3;

  // Loudness is heard by its logarithm: half of the slider is a quarter of the amplitude.
  const gainOf = (box, slider) => (box.checked ? (slider.value / 100) ** 2 : 0);
  const mix = () => {
    boxes.forEach((box, i) => {
      for (const row of [box.closest(".lane-name"), sheet.querySelectorAll(".lane")[i]]) row.classList.toggle("off", !box.checked);
    });
    if (!desks) return;
    desks.song.gain.value = gainOf(songOn, songLevel);
    desks.clicks.gain.value = gainOf(clicksOn, clicksLevel);
    desks.lanes.forEach((gain, i) => { gain.gain.value = gainOf(boxes[i], levels[i]); });
  };

  const prepare = async () => {
    context = new AudioContext();
    song = await context.decodeAudioData(bytes(audio.src));
    const channel = (to) => {
      const gain = context.createGain();
      gain.connect(to);
      return gain;
    };
    const limiter = context.createDynamicsCompressor(); // a dozen clicks at once stay under full scale
    limiter.threshold.value = -3;
    limiter.ratio.value = 20;
    limiter.connect(context.destination);
    const clicks = channel(limiter);
    desks = { song: channel(limiter), clicks, lanes: data.lanes.map(() => channel(clicks)) };
    desks.buffers = data.lanes.map((lane) => clickBuffer(context, lane));
    mix();
  };

  const position = () => {
    if (!running) return from;
    // What is heard now left the program a moment ago.
    const heard = context.currentTime - (context.outputLatency || 0) - began;
    return Math.min(data.seconds, from + Math.max(0, heard));
  };

  const place = () => {
    const now = position();
    cursor.hidden = false;
    cursor.style.left = `${100 * now / data.seconds}%`;
    clock.innerHTML = `${shown(data.start + now)} <small>of ${shown(data.start + data.seconds)}</small>`;
    const x = now / data.seconds * sheet.clientWidth;
    if (running && (x < scroll.scrollLeft || x > scroll.scrollLeft + 0.85 * scroll.clientWidth)) {
      scroll.scrollLeft = x - 0.15 * scroll.clientWidth;
    }
  };

  const silence = () => {
    for (const node of sounding) node.stop();
    sounding = [];
  };
  const sound = (buffer, to, when, offset, loudness) => {
    const node = context.createBufferSource();
    node.buffer = buffer;
    let target = to;
    if (loudness !== undefined) {
      target = context.createGain();
      target.gain.value = 0.3 + 0.7 * loudness;
      target.connect(to);
    }
    node.connect(target);
    node.start(when, offset);
    sounding.push(node);
  };
  // All sounds are handed over at once, each with its time: none can come late, whatever the page is doing.
  const start = () => {
    silence();
    began = context.currentTime + START_S;
    sound(song, desks.song, began, from);
    data.lanes.forEach((lane, i) => {
      for (const [time, loudness] of lane.hits) {
        if (time >= from) sound(desks.buffers[i], desks.lanes[i], began + time - from, 0, loudness);
      }
    });
    running = true;
  };

  const show = () => {
    play.setAttribute("aria-pressed", String(running));
    play.querySelector("span").textContent = running ? "Pause" : "Play";
  };
  const pause = () => {
    from = position();
    running = false;
    silence();
    show();
    place();
  };
  const follow = () => {
    if (!running) return;
    place();
    if (position() < data.seconds) {
      requestAnimationFrame(follow);
      return;
    }
    pause();
    from = 0;
    place();
  };
  const toggle = async () => {
    if (running) {
      pause();
      return;
    }
    play.disabled = true;
    try {
      if (!context) await prepare();
      await context.resume();
    } catch (error) {
      context = null;
      trouble.hidden = audio.hidden = false;
      trouble.textContent = "This browser cannot decode the sound for the clicks; the player above may still play the song.";
      return;
    } finally {
      play.disabled = false;
    }
    start();
    show();
    follow();
  };
  const seek = (seconds) => {
    from = Math.min(data.seconds, Math.max(0, seconds));
    if (running) start();
    else place();
    const x = from / data.seconds * sheet.clientWidth;
    if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x - 0.3 * scroll.clientWidth;
  };
  const zoomTo = (next) => {
    zoom = Math.min(ZOOMS_PX.length - 1, Math.max(0, next));
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / sheet.clientWidth;
    sheet.style.setProperty("--zoom", `${ZOOMS_PX[zoom]}px`);
    sheet.classList.toggle("far", sheet.clientWidth / data.seconds < FINE_PX);
    scroll.scrollLeft = middle * sheet.clientWidth - scroll.clientWidth / 2;
    find(".out").disabled = zoom === 0;
    find(".in").disabled = zoom === ZOOMS_PX.length - 1;
  };

  const flip = (box) => {
    box.checked = !box.checked;
    mix();
  };
  const keys = {
    " ": toggle,
    ArrowLeft: () => seek(position() - STEP_S),
    ArrowRight: () => seek(position() + STEP_S),
    Home: () => seek(0),
    End: () => seek(data.seconds),
    m: () => flip(songOn),
    "+": () => zoomTo(zoom + 1),
    "=": () => zoomTo(zoom + 1),
    "-": () => zoomTo(zoom - 1),
  };
  // On a page of its own the keys work at once; beside other players, once this one has the focus.
  const alone = document.querySelectorAll(".listening, .timeline").length === 1;
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || !(root.contains(at) || (alone && at === document.body))) return;
    if (at.matches("audio, summary, a")) return;
    // A slider keeps the keys that move it; space presses what can be pressed.
    if (at.matches("input[type=range]") && event.key !== " " && event.key.length > 1) return;
    if (at.matches("button, input[type=checkbox]") && event.key === " ") return;
    const number = Number(event.key);
    const act = number >= 1 && number <= boxes.length ? () => flip(boxes[number - 1]) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  play.addEventListener("click", toggle);
  find(".out").addEventListener("click", () => zoomTo(zoom - 1));
  find(".in").addEventListener("click", () => zoomTo(zoom + 1));
  for (const input of root.querySelectorAll("input")) input.addEventListener("input", mix);
  sheet.addEventListener("click", (event) => {
    const box = sheet.getBoundingClientRect();
    seek(data.seconds * (event.clientX - box.left) / box.width);
  });
  addEventListener("resize", () => zoomTo(zoom));

  if (!("AudioContext" in window)) return;
  audio.hidden = true;
  desk.hidden = find(".keys").hidden = false;
  for (const input of [...boxes, ...levels]) input.disabled = input.hidden = false;
  sheet.classList.add("seekable");
  zoomTo(zoom);
  place();
}
for (const root of document.querySelectorAll(".listening")) listening(root);
