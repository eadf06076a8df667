// Adds to a page that works without it: a cursor that runs over the tracks, click to seek, and a wider view.
"use strict";
// On paper nothing can be unfolded, so results are; older browsers cannot do this by style alone.
for (const [event, open] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    for (const details of document.querySelectorAll("details.keep")) details.open = open;
  });
}
for (const timeline of document.querySelectorAll(".timeline")) {
  const seconds = Number(timeline.dataset.seconds);
  const players = [...timeline.querySelectorAll("audio")];
  const scroll = timeline.querySelector(".scroll");
  const sheet = timeline.querySelector(".sheet");
  const cursor = timeline.querySelector(".cursor");
  const zoom = timeline.querySelector(".zoom");
  let current = players[0];

  const place = () => {
    const share = Math.min(1, current.currentTime / seconds);
    cursor.hidden = false;
    cursor.style.left = `${100 * share}%`;
    const x = share * sheet.clientWidth;
    if (!current.paused && (x < scroll.scrollLeft || x > scroll.scrollLeft + 0.9 * scroll.clientWidth)) {
      scroll.scrollLeft = x - 0.1 * scroll.clientWidth;
    }
  };
  const follow = () => {
    place();
    if (!current.paused) requestAnimationFrame(follow);
  };
  for (const player of players) {
    player.addEventListener("play", () => {
      if (player !== current) {
        // The other sound goes on where this one was: the two are the same stretch of the song.
        player.currentTime = current.currentTime;
        current.pause();
        current = player;
      }
      follow();
    });
    player.addEventListener("seeked", () => { if (player === current) place(); });
  }
  if (players.length) {
    sheet.classList.add("seekable");
    sheet.addEventListener("click", (event) => {
      const box = sheet.getBoundingClientRect();
      current.currentTime = seconds * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      place();
    });
  }
  zoom.hidden = false;
  zoom.addEventListener("click", () => {
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / sheet.clientWidth;
    const wide = sheet.classList.toggle("wide");
    zoom.textContent = wide ? "Zoom out" : "Zoom in";
    zoom.setAttribute("aria-pressed", String(wide));
    scroll.scrollLeft = middle * sheet.clientWidth - scroll.clientWidth / 2;
  });
}
