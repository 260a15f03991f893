// Moves a line through the picture while a recording plays, and jumps to where a line was spoken.
for (const section of document.querySelectorAll("section")) {
  const lanes = section.querySelector("svg.lanes");
  const cursor = section.querySelector(".cursor");
  const players = [...section.querySelectorAll("audio")];
  for (const player of players) {
    player.addEventListener("play", () => players.forEach((other) => other !== player && other.pause()));
    player.addEventListener("timeupdate", () => {
      const at = (player.currentTime + Number(player.dataset.offset)) / Number(lanes.dataset.length);
      const x = Number(lanes.dataset.left) + at * Number(lanes.dataset.scale);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    });
  }
  const main = section.querySelector("audio[data-main]");
  for (const button of section.querySelectorAll("button[data-at]")) {
    button.addEventListener("click", () => {
      if (!main) return;
      main.currentTime = Math.max(0, Number(button.dataset.at) - Number(main.dataset.offset));
      main.play();
    });
  }
}
