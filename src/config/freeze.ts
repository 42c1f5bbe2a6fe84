/** Freezes a value with all that is in it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null)
    for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}
