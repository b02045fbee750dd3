/**
 * The shape of the engine's status as the control API sends it. Members that are optional came later than the others
 * or are measured only while somebody watches: whoever shows them copes with their absence.
 */

export interface ITensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface IVersionStatus {
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

export interface ILatency {
  readonly p50: number | null;
  readonly p99: number | null;
}

export type BatchSizes = Readonly<Record<string, number>>;

export interface IGpuMemory {
  readonly device: number | string;
  readonly uuid: string;
  readonly bytes: number;
}

export interface IInstanceStatus {
  readonly name: string;
  readonly version: string;
  readonly pid: number | null;
  readonly state: string;
  readonly kind: string;
  readonly requests: number;
  readonly failures: number;
  readonly restarts: number;
  readonly busy_since_s: number | null;
  readonly current_request: string | null;
  readonly last_error: string | null;
  readonly rss_bytes?: number | null;
  readonly arena_bytes?: number | null;
  readonly arena_used_bytes?: number | null;
  readonly interpreter?: string | null;
  readonly python?: string | null;
  readonly start_ticks?: number | null;
  readonly uptime_s?: number | null;
  readonly pss_bytes?: number | null;
  readonly uss_bytes?: number | null;
  readonly cpu_percent?: number | null;
  readonly threads?: number | null;
  readonly fds?: number | null;
  readonly gpu?: readonly IGpuMemory[] | null;
  readonly last_exit?: string | null;
  readonly latency_ms?: ILatency | null;
  readonly batch_sizes?: BatchSizes | null;
  readonly draining?: boolean;
  readonly debug?: { readonly port: number } | null;
  readonly unavailable?: Readonly<Record<string, string>>;
}

export interface IStatistics {
  readonly success?: number;
  readonly failure?: number;
  readonly rejected?: number;
  readonly inference_count?: number;
  readonly execution_count?: number;
  readonly batch_sizes?: BatchSizes;
  readonly queue_us?: number;
  readonly compute_us?: number;
}

export interface IDeploy {
  readonly version: string | number;
  readonly time?: number;
  readonly owner?: string | null;
}

export interface IModelStatus {
  readonly name: string;
  readonly state: string;
  readonly reason: string;
  readonly versions: readonly IVersionStatus[];
  readonly instances: readonly IInstanceStatus[];
  readonly inputs: readonly ITensorMetadata[];
  readonly outputs?: readonly ITensorMetadata[];
  readonly owner: string | null;
  readonly max_batch_size?: number;
  readonly decoupled?: boolean;
  readonly platform?: string | null;
  readonly kind?: string | null;
  readonly queue_depth?: number | null;
  readonly in_flight?: number | null;
  readonly statistics?: IStatistics | null;
  readonly latency_ms?: ILatency | null;
  readonly deploys?: readonly IDeploy[];
  readonly recordings?: number;
  readonly loading_error?: string | null;
  readonly draining?: boolean;
}

export interface IHostStatus {
  readonly cpu_percent: number | null;
  readonly memory_used_bytes: number | null;
  readonly memory_total_bytes: number | null;
}

export interface ISharedArray {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly nbytes: number;
  readonly references?: readonly string[];
}

export interface IEngineStatus {
  readonly pid: number;
  readonly version: string;
  readonly started_at: number;
  readonly state: string;
  readonly repositories: readonly string[];
  readonly http_url?: string | null;
  readonly grpc_url?: string | null;
  readonly cpu_percent?: number | null;
  readonly pss_bytes?: number | null;
  readonly host?: IHostStatus | null;
  readonly shared?: readonly ISharedArray[];
}

export interface IStatus {
  readonly engine: IEngineStatus;
  readonly models: readonly IModelStatus[];
}

/** Whether something received is a status; what is inside the rows is the engine's word. */
export function isStatus(value: unknown): value is IStatus {
  return isRecord(value) && isRecord(value.engine) && Array.isArray(value.models);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The versions of a model that clients may call. */
export function isServing(model: IModelStatus): boolean {
  return model.versions.some(version => version.state === 'READY');
}
