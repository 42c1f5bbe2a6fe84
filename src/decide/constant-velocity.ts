/**
 * One coordinate that changes with a nearly constant velocity: a Kalman filter whose acceleration is white noise
 * (Bar-Shalom, Li, Kirubarajan 2001, "Estimation with Applications to Tracking and Navigation", section 6.2.2).
 * Time in seconds.
 */
export class ConstantVelocity {
  position: number;
  velocity = 0;
  /** Covariance of position and velocity. */
  #pp: number;
  #pv = 0;
  #vv: number;

  /**
   * @param position first measured value
   * @param deviation standard deviation of that measurement
   * @param speed standard deviation of a velocity that nothing is known of, per second
   */
  constructor(position: number, deviation: number, speed: number) {
    this.position = position;
    this.#pp = deviation * deviation;
    this.#vv = speed * speed;
  }

  /** Standard deviation of the position. */
  get deviation(): number {
    return Math.sqrt(this.#pp);
  }

  /** @param noise intensity of the acceleration, units² per second³ */
  predict(seconds: number, noise: number): void {
    this.position += this.velocity * seconds;
    this.#pp += seconds * (2 * this.#pv + seconds * this.#vv) + (noise * seconds ** 3) / 3;
    this.#pv += seconds * this.#vv + (noise * seconds ** 2) / 2;
    this.#vv += noise * seconds;
  }

  /** @param deviation standard deviation of the measurement */
  correct(measured: number, deviation: number): void {
    const spread = this.#pp + deviation * deviation;
    const gain = this.#pp / spread;
    const gainVelocity = this.#pv / spread;
    const residual = measured - this.position;
    this.position += gain * residual;
    this.velocity += gainVelocity * residual;
    this.#vv -= gainVelocity * this.#pv;
    this.#pv *= 1 - gain;
    this.#pp *= 1 - gain;
  }
}
