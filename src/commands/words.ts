// Numbers as people read them: grouped digits, bytes, seconds. Pure.

/** `1234567` as `1,234,567`. */
export function grouped(digits: string): string {
  return digits.replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** In units of 1024, as PostgreSQL's settings: `3.4 GB`. */
export function shownBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? Math.round(value) : value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `4 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export function shownSeconds(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
