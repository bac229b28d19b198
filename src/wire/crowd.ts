// Who stands at the door and who is inside: room for each apart, so that those who never log in take no one's place.

/** Someone who can be sent away from the door. */
export interface Visitor {
  turnAway(): void;
}

// All who would have a place inside may come at the same moment; and a small house still hears cancels.
const leastAtDoor = 20;

/** How many may be logging in at a time. */
export function roomAtDoor(connections: number): number {
  return Math.max(leastAtDoor, connections);
}

/** Counts a listener's connections. */
export class Crowd {
  readonly #connections: number;
  readonly #atDoor = new Set<Visitor>();
  readonly #inside = new Set<Visitor>();

  /** @param connections how many may be logged in */
  constructor(connections: number) {
    this.#connections = connections;
  }

  /** Logged in, and not gone. */
  get inside(): number {
    return this.#inside.size;
  }

  get atDoor(): number {
    return this.#atDoor.size;
  }

  /**
   * A connection came. If that is one too many, who has waited longest is turned away: a login takes moments, and those
   * who take their time are not the ones to keep.
   */
  arrive(visitor: Visitor): void {
    this.#atDoor.add(visitor);
    if (this.#atDoor.size <= roomAtDoor(this.#connections)) return;
    const [oldest] = this.#atDoor;
    this.#atDoor.delete(oldest!);
    oldest!.turnAway();
  }

  /** It has logged in. @returns false if there is no room for it */
  enter(visitor: Visitor): boolean {
    this.#atDoor.delete(visitor);
    if (this.#inside.size >= this.#connections) return false;
    this.#inside.add(visitor);
    return true;
  }

  leave(visitor: Visitor): void {
    this.#atDoor.delete(visitor);
    this.#inside.delete(visitor);
  }
}
