/** What an app is like at the moment of a scrape. */
export interface AppState {
  /** The app's key in the configuration. */
  readonly app: string;
  /** `apns`, `gcm`, … */
  readonly pushkin: string;
  /** Requests that wait for a connection, a free stream or their turn. */
  readonly waiting: number;
  /** Upstream hosts that are left alone. */
  readonly openCircuits: number;
  /** Why rejections are held back; absent = they are believed. */
  readonly holding?: string;
  /** Absent where nobody counts them. */
  readonly connections?: { readonly open: number; readonly streams: number };
}
