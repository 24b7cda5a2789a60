using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Status;
using Qkd.Timing;

namespace Qkd.Node.Polarization;

/// <summary>
/// Joins the aligner's mathematics with the instruments: sums the pilots of frames that were emitted after the paddles came to rest, asks
/// aligner or tracker what to do, and moves the paddles. A movement is dated by the slot that leaves Alice when it ends, so that no frame from
/// before it is mistaken for one after, however many are still on their way.
/// </summary>
public sealed class PolarizationKeeper : IPolarizationKeeper
{
    private const string NotYet = "polarization is not aligned yet";
    private const int FramesToAlign = 12;
    private const int FramesToTrack = 100;
    private static readonly TimeSpan RetryAfterFailure = TimeSpan.FromSeconds(5);

    private readonly IPolarizationController _controller;
    private readonly PolarizationOptions _options;
    private readonly NodeMonitor _monitor;
    private readonly TimeProvider _time;
    private readonly int _frameSlots;
    private readonly double _frameSeconds;
    private readonly PaddleLimits _limits;
    private readonly PolarizationAligner _aligner;
    private readonly Lock _gate = new();
    private PolarizationTracker? _tracker;
    private long _trackedAt;
    private TaskCompletionSource<PilotStatistics>? _wanted;
    private PilotStatistics _sum = new();
    private long _fromFrame;
    private int _framesMissing;

    /// <summary>Creates a keeper that has not moved anything yet.</summary>
    /// <param name="controller">The paddles.</param>
    /// <param name="options">Settings.</param>
    /// <param name="frameSlots">Slots a frame.</param>
    /// <param name="slotRateHertz">Slots a second.</param>
    /// <param name="monitor">Is told when alignment fails.</param>
    /// <param name="time">Clock.</param>
    /// <exception cref="ConfigurationException">The controller is not one of rotating plates.</exception>
    public PolarizationKeeper(
        IPolarizationController controller, PolarizationOptions options, int frameSlots, double slotRateHertz, NodeMonitor monitor, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(controller);
        ArgumentNullException.ThrowIfNull(options);
        if (controller.Actuators.Count != 3 || controller.Actuators.Any(a => a.NominalRetardanceWaves is null))
        {
            throw new ConfigurationException("Bench:Bob:Roles:Polarization", $"'{controller.Name}' is not a controller of three rotating plates");
        }

        _controller = controller;
        _options = options;
        _monitor = monitor;
        _time = time;
        _frameSlots = frameSlots;
        _frameSeconds = frameSlots / slotRateHertz;
        _limits = new PaddleLimits(
            controller.Actuators.Max(a => a.Minimum), controller.Actuators.Min(a => a.Maximum), [.. controller.Actuators.Select(a => a.NominalRetardanceWaves!.Value)]);
        _aligner = new PolarizationAligner(_limits, options.RealignAbove, options.MaximumMeasurements, options.AlignedBelow);
    }

    /// <inheritdoc/>
    public bool IsAligned { get; private set; }

    /// <inheritdoc/>
    public string Problem { get; private set; } = NotYet;

    /// <summary>Whether it waits for frames; otherwise it thinks, moves the paddles, or rests after a failure.</summary>
    internal bool IsMeasuring
    {
        get
        {
            lock (_gate)
            {
                return _wanted is not null;
            }
        }
    }

    /// <inheritdoc/>
    public void FrameReceived(DetectionFrame frame)
    {
        ArgumentNullException.ThrowIfNull(frame);
        lock (_gate)
        {
            if (_wanted is null || frame.Frame < _fromFrame)
            {
                return;
            }

            _sum = _sum.Plus(frame.Pilot);
            if (--_framesMissing == 0)
            {
                _wanted.TrySetResult(_sum);
                _wanted = null;
            }
        }
    }

    /// <inheritdoc/>
    public async Task RunAsync(Func<CancellationToken, ValueTask<long>> emittedSlot, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(emittedSlot);
        (IsAligned, Problem) = (false, NotYet);

        // Until the first frame has come there is nothing to measure, and Alice has no slot to tell.
        var angles = await _controller.GetPositionsAsync(cancellationToken);
        var fromFrame = (await MeasureAsync(0, 1, cancellationToken)).LastFrame + 1;
        if (_tracker is not null)
        {
            // After a break the fibre is mostly where it was: the tracker goes on, with what may have happened meanwhile in its doubts.
            var (pilots, last) = await MeasureAsync(fromFrame, FramesToAlign, cancellationToken);
            if (_aligner.Holds(Contrasts.FromClicks(pilots.Clicks)))
            {
                SetAligned();
                fromFrame = await TrackAsync(angles, last + 1, emittedSlot, cancellationToken);
                angles = await _controller.GetPositionsAsync(cancellationToken);
            }
        }

        while (true)
        {
            _aligner.Restart();
            (angles, fromFrame) = await AlignAsync(angles, fromFrame, emittedSlot, cancellationToken);
            _tracker = _options.Tracking ? new PolarizationTracker(_aligner.Fit!, _limits, angles) : null;
            _trackedAt = _time.GetTimestamp();
            fromFrame = await TrackAsync(angles, fromFrame, emittedSlot, cancellationToken);
            angles = await _controller.GetPositionsAsync(cancellationToken);
        }
    }

    private void SetAligned()
    {
        Problem = "";
        IsAligned = true;
    }

    /// <summary>What the tracker knows is of no use any more; it must not go on from there after a break.</summary>
    private void SetLost(string problem)
    {
        Problem = problem;
        IsAligned = false;
        _tracker = null;
    }

    private async Task<(IReadOnlyList<double> Angles, long FromFrame)> AlignAsync(
        IReadOnlyList<double> angles, long fromFrame, Func<CancellationToken, ValueTask<long>> emittedSlot, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (pilots, _) = await MeasureAsync(fromFrame, FramesToAlign, cancellationToken);
            switch (_aligner.Next(angles, Contrasts.FromClicks(pilots.Clicks)))
            {
                case AlignmentStep.Aligned:
                    SetAligned();
                    return (angles, fromFrame);

                case AlignmentStep.Move move:
                    angles = await MoveAsync(move.Degrees, cancellationToken);
                    fromFrame = await FrameAfterAsync(emittedSlot, cancellationToken);
                    break;

                case AlignmentStep.Failed failed:
                    Problem = failed.Reason;
                    _monitor.Alarm(AlarmKind.Alignment, failed.Reason);
                    _monitor.StateChanged(SessionState.Aligning, failed.Reason);
                    await Task.Delay(RetryAfterFailure, _time, cancellationToken);
                    _aligner.Restart();
                    fromFrame = await FrameAfterAsync(emittedSlot, cancellationToken);
                    break;
            }
        }
    }

    /// <summary>Follows until the error rate is too high or the paddles cannot follow; returns the frame from which to measure then.</summary>
    private async Task<long> TrackAsync(
        IReadOnlyList<double> angles, long fromFrame, Func<CancellationToken, ValueTask<long>> emittedSlot, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (pilots, last) = await MeasureAsync(fromFrame, FramesToTrack, cancellationToken);
            var seen = Contrasts.FromClicks(pilots.Clicks);
            if (Math.Max(seen.ErrorZ, seen.ErrorX) > _options.RealignAbove + (3 * seen.Sigma / 2))
            {
                SetLost(FormattableString.Invariant($"polarization was lost: pilot error rates Z {seen.ErrorZ:P1}, X {seen.ErrorX:P1}"));
                return last + 1;
            }

            if (_tracker is not { } tracker)
            {
                fromFrame = last + 1;
                continue;
            }

            var elapsed = Elapsed((last + 1 - fromFrame) * _frameSeconds);
            var next = tracker.Next(angles, seen, elapsed);
            if (!tracker.CanFollow)
            {
                SetLost("a paddle is at the end of its range: the fibre cannot be followed from here");
                return last + 1;
            }

            angles = await MoveAsync(next, cancellationToken);
            fromFrame = await FrameAfterAsync(emittedSlot, cancellationToken);
        }
    }

    /// <summary>Time since the tracker was last told anything; at least that of the frames measured, where the bench runs faster than the clock.</summary>
    private TimeSpan Elapsed(double atLeastSeconds)
    {
        var now = _time.GetTimestamp();
        var elapsed = _time.GetElapsedTime(_trackedAt, now);
        _trackedAt = now;
        return TimeSpan.FromSeconds(Math.Max(elapsed.TotalSeconds, atLeastSeconds));
    }

    private async Task<IReadOnlyList<double>> MoveAsync(IReadOnlyList<double> degrees, CancellationToken cancellationToken)
    {
        await _controller.MoveAsync(degrees.ToArray(), cancellationToken);

        // What the controller says, not what was asked: its steps are coarse.
        return await _controller.GetPositionsAsync(cancellationToken);
    }

    private async Task<long> FrameAfterAsync(Func<CancellationToken, ValueTask<long>> emittedSlot, CancellationToken cancellationToken) =>
        (await emittedSlot(cancellationToken) / _frameSlots) + 1;

    private async Task<(PilotStatistics Pilots, long LastFrame)> MeasureAsync(long fromFrame, int frames, CancellationToken cancellationToken)
    {
        var wanted = new TaskCompletionSource<PilotStatistics>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            (_wanted, _sum, _fromFrame, _framesMissing) = (wanted, new PilotStatistics(), fromFrame, frames);
        }

        try
        {
            return (await wanted.Task.WaitAsync(cancellationToken), fromFrame + frames - 1);
        }
        finally
        {
            lock (_gate)
            {
                _wanted = null;
            }
        }
    }
}
