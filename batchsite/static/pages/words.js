/* Numbers, spans and instants as people read them; the server's templates write the same. */

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const FORMS = {
  minute: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }),
  second: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  short: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
  clock: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
};

export const grouped = (number) => whole.format(number);

export function speed(perSecond) {
  return perSecond >= 100 ? whole.format(perSecond) : String(Number(perSecond.toPrecision(3)));
}

export function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const hours = Math.floor(seconds / 3600);
  if (hours < 48) return `${hours} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/* Instants in the reader's own time zone; what the server wrote stays as the tooltip. */
export function localize(place) {
  for (const time of place.querySelectorAll("time[datetime]")) {
    const instant = new Date(time.dateTime);
    if (Number.isNaN(instant.getTime()) || time.title) continue;
    time.title = time.textContent.trim();
    time.textContent = FORMS[time.dataset.form || "minute"].format(instant);
  }
}
