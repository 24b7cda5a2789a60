using NSubstitute;
using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Polarization;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Polarization;

/// <summary>
/// The keeper with a line, a controller and a stream of frames: each frame is counted when it is emitted and arrives twenty frames later, as with a
/// long fibre and a tagger that delivers in portions.
/// </summary>
public sealed class KeeperTests
{
    private const int FramesUnderWay = 20;
    private const int FramesOfMovement = 30;

    private readonly ManualTime _time = new();
    private readonly NodeMonitor _monitor;
    private readonly SimulatedLine _line = new(4711) { Drift = 0 };
    private readonly IPolarizationController _controller = Substitute.For<IPolarizationController>();
    private readonly Queue<(long Frame, long[] Clicks)> _underWay = new();
    private readonly Random _random = new(99);
    private long _emitted;
    private int _moves;

    public KeeperTests()
    {
        _monitor = Make.Monitor(_time);
        _controller.Name.Returns("paddles");
        _controller.Actuators.Returns([.. SimulatedLine.Limits.RetardanceWaves.Select((waves, i) => new PolarizationActuator($"paddle {i + 1}", "deg", 0, 170, 0.124, waves))]);
        _controller.GetPositionsAsync(Arg.Any<CancellationToken>()).Returns(_ => new ValueTask<IReadOnlyList<double>>(_line.Paddles));
        _controller.MoveAsync(Arg.Any<ReadOnlyMemory<double>>(), Arg.Any<CancellationToken>()).Returns(call =>
        {
            // While the paddles turn, light goes on: none of it may be taken for light after the movement.
            for (var frame = 0; frame < FramesOfMovement; frame++)
            {
                Emit();
            }

            _line.Move(call.Arg<ReadOnlyMemory<double>>().ToArray());
            _moves++;
            return ValueTask.CompletedTask;
        });
    }

    [Fact]
    public async Task It_aligns_and_says_so()
    {
        var keeper = Keeper(tracking: false);
        keeper.IsAligned.ShouldBeFalse();
        keeper.Problem.ShouldNotBeEmpty();
        await RunAsync(keeper, () => keeper.IsAligned);
        keeper.Problem.ShouldBeEmpty();
        Misalignment().ShouldBeLessThan(PolarizationAligner.Tolerance);
        _monitor.Snapshot().Alarms.ShouldBeEmpty();
    }

    [Fact]
    public async Task Without_tracking_the_paddles_rest_once_it_is_aligned()
    {
        var keeper = Keeper(tracking: false);
        var moves = -1;
        var until = 0L;
        await RunAsync(keeper, () =>
        {
            if (keeper.IsAligned && moves < 0)
            {
                (moves, until) = (_moves, _emitted + 1000);
            }

            return moves >= 0 && _emitted > until;
        });
        _moves.ShouldBe(moves);
    }

    [Fact]
    public async Task With_tracking_it_follows_a_fibre_that_drifts()
    {
        // A frame drifts as 0.01 s does at 0.01 rad/√s; the keeper's own pace decides how often it moves.
        var keeper = Keeper(tracking: true);
        var errors = new List<double>();
        await RunAsync(keeper, () =>
        {
            if (keeper.IsAligned || errors.Count > 0)
            {
                errors.Add(Misalignment());
                _line.Turn(Step(), Step(), Step());
            }

            return errors.Count > 30_000;
        });
        _moves.ShouldBeGreaterThan(50);
        errors.Average().ShouldBeLessThan(0.01);

        double Step() => 0.001 * Math.Sqrt(3) * ((_random.NextDouble() * 2) - 1);
    }

    [Fact]
    public async Task A_fibre_that_was_moved_is_noticed_and_aligned_anew()
    {
        var keeper = Keeper(tracking: true);
        var lost = "";
        var moved = false;
        await RunAsync(keeper, () =>
        {
            if (keeper.IsAligned && !moved)
            {
                moved = true;
                _line.Turn(0.9, -0.7, 0.5);
                Misalignment().ShouldBeGreaterThan(0.05);
            }
            else if (moved && !keeper.IsAligned && lost.Length == 0)
            {
                lost = keeper.Problem;
            }

            return lost.Length > 0 && keeper.IsAligned;
        });
        lost.ShouldContain("polarization was lost");
        Misalignment().ShouldBeLessThan(PolarizationAligner.Tolerance);
    }

    [Fact]
    public async Task After_a_break_it_goes_on_where_it_was()
    {
        var keeper = Keeper(tracking: true);
        await RunAsync(keeper, () => keeper.IsAligned);
        var moves = _moves;
        await RunAsync(keeper, () => keeper.IsAligned);
        _moves.ShouldBe(moves);
        Misalignment().ShouldBeLessThan(PolarizationAligner.Tolerance);
    }

    [Fact]
    public async Task A_fibre_that_moved_during_the_break_is_aligned_anew()
    {
        var keeper = Keeper(tracking: true);
        await RunAsync(keeper, () => keeper.IsAligned);
        _line.Turn(0.9, -0.7, 0.5);
        var moves = _moves;
        await RunAsync(keeper, () => keeper.IsAligned);
        _moves.ShouldBeGreaterThan(moves);
        Misalignment().ShouldBeLessThan(PolarizationAligner.Tolerance);
    }

    [Fact]
    public async Task A_line_that_cannot_be_aligned_is_an_alarm_with_the_reason_and_is_tried_again()
    {
        _line.Intercepted = 1;
        var keeper = Keeper(tracking: true);
        var tried = 0;
        await RunAsync(keeper, () =>
        {
            keeper.IsAligned.ShouldBeFalse();
            if (_time.Waiting > 0 && ++tried == 1)
            {
                // The wait after the failure; the eavesdropper goes home meanwhile.
                _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Detail.ShouldBe(keeper.Problem);
                _monitor.Snapshot().State.ShouldBe(SessionState.Aligning);
                return true;
            }

            return false;
        });
        var alarm = _monitor.Snapshot().Alarms.ShouldHaveSingleItem();
        alarm.Kind.ShouldBe(AlarmKind.Alignment);
        alarm.Detail.ShouldContain("cannot be aligned");

        _line.Intercepted = 0;
        await RunAsync(keeper, () => keeper.IsAligned);
        keeper.Problem.ShouldBeEmpty();
    }

    [Fact]
    public async Task After_a_failure_it_waits_and_then_tries_again_by_itself()
    {
        _line.Intercepted = 1;
        var keeper = Keeper(tracking: false);
        var waited = false;
        await RunAsync(keeper, () =>
        {
            if (_time.Waiting > 0 && !waited)
            {
                waited = true;
                _line.Intercepted = 0;
                _time.Advance(5);
            }

            return keeper.IsAligned;
        });
        waited.ShouldBeTrue();
    }

    [Fact]
    public void A_controller_that_is_not_three_plates_is_refused()
    {
        _controller.Actuators.Returns([new PolarizationActuator("squeezer 1", "V", 0, 5, 0.01, null)]);
        var error = Should.Throw<ConfigurationException>(() => Keeper(tracking: true));
        error.Path.ShouldBe("Bench:Bob:Roles:Polarization");
        error.Message.ShouldContain("'paddles'");
    }

    private PolarizationKeeper Keeper(bool tracking) =>
        new(_controller, new PolarizationOptions { Tracking = tracking }, Make.FrameSlots, 100e6, _monitor, _time);

    private double Misalignment()
    {
        var (z, x) = _line.Misalignment();
        return Math.Max(z, x);
    }

    /// <summary>
    /// Emits and delivers frames until a condition holds, then ends the keeper. Frames come only while the keeper measures or rests, so that the bench does not
    /// run on while a slow machine thinks; the condition is asked then, before each frame.
    /// </summary>
    private async Task RunAsync(PolarizationKeeper keeper, Func<bool> done)
    {
        const int most = 200_000;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        // A new session numbers its frames from 0.
        (_emitted, var delivered) = (0, 0);
        _underWay.Clear();
        var running = keeper.RunAsync(_ => new(Interlocked.Read(ref _emitted) * Make.FrameSlots), stop.Token);
        for (; delivered < most; delivered++)
        {
            while (!keeper.IsMeasuring && _time.Waiting == 0 && !running.IsCompleted)
            {
                await Task.Yield();
            }

            if (running.IsCompleted || done())
            {
                break;
            }

            Emit();
            while (_underWay.Count > FramesUnderWay)
            {
                var (frame, clicks) = _underWay.Dequeue();
                keeper.FrameReceived(Make.Frame(frame, pilot: clicks));
            }
        }

        await stop.CancelAsync();
        await running.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken).ShouldThrowAsync<OperationCanceledException>();
        delivered.ShouldBeLessThan(most, "the condition was never met");
    }

    private void Emit()
    {
        _underWay.Enqueue((_emitted, _line.Count(1)));
        Interlocked.Increment(ref _emitted);
        _time.Advance(SimulatedLine.FrameSeconds);
    }
}
