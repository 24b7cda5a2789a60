namespace Qkd.Sim.Bench;

/// <summary>How bench time goes with the wall's.</summary>
public enum BenchClockMode
{
    /// <summary>
    /// Bench time waits for a host that is short of symbols or does not take the tags: on a machine that cannot keep up it goes slower
    /// than the wall's, and nothing overflows because the machine is small.
    /// </summary>
    Throttled,

    /// <summary>Bench time goes with the wall's: a host that is late has an underrun or loses tags, as with real instruments.</summary>
    RealTime,
}

/// <summary>
/// The time in the emulated world, from 0. It only goes on when the bench moves it; timestamps, dates and timers all follow it. Never
/// faster than the wall's but for catching up a tenth of a second. Ends after 106 days.
/// </summary>
/// <param name="start">Date at bench time 0; null for now.</param>
public sealed class BenchClock(DateTimeOffset? start = null) : TimeProvider
{
    private const long PicosecondsPerTick = 100_000;

    private readonly DateTimeOffset _start = start ?? DateTimeOffset.UtcNow;
    private readonly Lock _gate = new();
    private readonly PriorityQueue<(BenchTimer Timer, int Setting), long> _timers = new();
    private long _now;
    private long _nextDue = long.MaxValue;

    /// <summary>Bench time in picoseconds.</summary>
    public long Picoseconds => Volatile.Read(ref _now);

    /// <summary>Bench time to the tenth of a microsecond.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(Picoseconds / PicosecondsPerTick);

    /// <summary>Timestamps are picoseconds.</summary>
    public override long TimestampFrequency => 1_000_000_000_000;

    /// <inheritdoc/>
    public override long GetTimestamp() => Picoseconds;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => _start + Elapsed;

    /// <summary>Makes a timer that runs in bench time. Its callback runs on the thread pool, soon after bench time has come to be due.</summary>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new BenchTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves bench time on. One thread.</summary>
    /// <exception cref="ArgumentOutOfRangeException">That lies in the past.</exception>
    internal void AdvanceTo(long picoseconds)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(picoseconds, _now);
        Volatile.Write(ref _now, picoseconds);
        if (picoseconds >= Volatile.Read(ref _nextDue))
        {
            FireDue(picoseconds);
        }
    }

    private void FireDue(long now)
    {
        lock (_gate)
        {
            while (_timers.TryPeek(out var next, out var due) && due <= now)
            {
                _timers.Dequeue();
                next.Timer.Fire(next.Setting, due, now);
            }

            UpdateNextDue();
        }
    }

    private void UpdateNextDue() => Volatile.Write(ref _nextDue, _timers.TryPeek(out _, out var due) ? due : long.MaxValue);

    private static long ToPicoseconds(TimeSpan span) => span.Ticks * PicosecondsPerTick;

    private sealed class BenchTimer(BenchClock clock, TimerCallback callback, object? state) : ITimer
    {
        private long _period;
        private int _setting;
        private bool _disposed;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(dueTime, Timeout.InfiniteTimeSpan);
            ArgumentOutOfRangeException.ThrowIfLessThan(period, Timeout.InfiniteTimeSpan);
            lock (clock._gate)
            {
                if (_disposed)
                {
                    return false;
                }

                // What was set before is still queued; its number tells that it no longer counts.
                _setting++;
                _period = period > TimeSpan.Zero ? ToPicoseconds(period) : 0;
                if (dueTime == TimeSpan.Zero)
                {
                    Fire(_setting, clock.Picoseconds, clock.Picoseconds);
                }
                else if (dueTime > TimeSpan.Zero)
                {
                    clock._timers.Enqueue((this, _setting), clock.Picoseconds + ToPicoseconds(dueTime));
                }

                clock.UpdateNextDue();
                return true;
            }
        }

        /// <summary>Called under the clock's lock.</summary>
        public void Fire(int setting, long due, long now)
        {
            if (_disposed || setting != _setting)
            {
                return;
            }

            ThreadPool.UnsafeQueueUserWorkItem(static timer => timer.Run(), this, preferLocal: false);
            if (_period > 0)
            {
                // Periods that passed in one leap are not made up for.
                clock._timers.Enqueue((this, setting), due + (((now - due) / _period) + 1) * _period);
            }
        }

        public void Dispose()
        {
            lock (clock._gate)
            {
                _disposed = true;
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Run()
        {
            lock (clock._gate)
            {
                if (_disposed)
                {
                    return;
                }
            }

            callback(state);
        }
    }
}
