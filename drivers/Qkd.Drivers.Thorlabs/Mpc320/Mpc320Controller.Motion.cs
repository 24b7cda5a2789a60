using System.Globalization;
using Qkd.Devices;
using Qkd.Drivers.Thorlabs.Apt;

namespace Qkd.Drivers.Thorlabs.Mpc320;

/// <content>Movements: one at a time, all paddles of one in parallel.</content>
public sealed partial class Mpc320Controller
{
    private const byte StopProfiled = 2;

    // A motor holds its place within a count; the report of an arrival may be a degree off, and one that is further off belongs to an earlier movement.
    private const int HeldWithinCounts = 1;
    private const int ArrivedWithinCounts = 8;

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(500);

    /// <inheritdoc/>
    public async ValueTask MoveAsync(ReadOnlyMemory<double> positions, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        if (positions.Length != PaddleCount)
        {
            throw new ArgumentException($"{Name} has {PaddleCount} paddles, {positions.Length} positions were given.", nameof(positions));
        }

        var moves = new Movement[PaddleCount];
        for (var paddle = 0; paddle < PaddleCount; paddle++)
        {
            moves[paddle] = MovementTo(paddle, positions.Span[paddle]);
        }

        await MoveAsync(moves, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Moves one paddle.</summary>
    /// <param name="paddle">From 0.</param>
    /// <param name="degrees">0 to 170.</param>
    /// <param name="cancellationToken">Stops the movement.</param>
    /// <exception cref="SettingOutOfRangeException">Outside the limits; nothing has moved.</exception>
    public async ValueTask MovePaddleAsync(int paddle, double degrees, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        ArgumentOutOfRangeException.ThrowIfNegative(paddle);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(paddle, PaddleCount);
        await MoveAsync([MovementTo(paddle, degrees)], cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask HomeAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        await InMotionAsync(
            "homing",
            _settings.HomeTimeout,
            [0, 1, 2],
            async token =>
            {
                await SendAndAwaitAsync(
                    [.. Enumerable.Range(0, PaddleCount).Select(paddle => AptFrame.Short(AptId.Home, (byte)Channel(paddle)))],
                    [.. Enumerable.Range(0, PaddleCount).Select(paddle => Says(AptId.Homed, paddle))],
                    pollAfter: null,
                    token).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
    }

    private static Func<AptFrame, bool> Says(ushort id, int paddle) => frame =>
        frame.Id == id && (frame.IsLong ? frame.Data.Length >= 2 && frame.Data.Span[0] == Channel(paddle) : frame.Parameter1 == Channel(paddle));

    private Movement MovementTo(int paddle, double degrees)
    {
        RequireRange($"angle of {Actuators[paddle].Name}", degrees, 0, FullTravelDegrees, "deg");
        return new(paddle, ToCounts(degrees));
    }

    private async ValueTask MoveAsync(IReadOnlyList<Movement> moves, CancellationToken cancellationToken)
    {
        var request = string.Join(", ", moves.Select(move => string.Create(
            CultureInfo.InvariantCulture, $"moving {Actuators[move.Paddle].Name} to {ToDegrees(move.Counts):F2} deg")));
        await InMotionAsync(
            request,
            _settings.MoveTimeout,
            [.. moves.Select(move => move.Paddle)],
            async token =>
            {
                var arrivals = await SendAndAwaitAsync(
                    [.. moves.Select(move => AptRequests.MoveAbsolute(Channel(move.Paddle), move.Counts))],
                    [.. moves.Select(move => EndOf(move, errorBefore: Volatile.Read(ref _last[move.Paddle]) is { MotionError: true }))],
                    pollAfter: [.. moves.Select(move => AptFrame.Short(AptId.RequestStatus, (byte)Channel(move.Paddle)))],
                    token).ConfigureAwait(false);
                foreach (var (move, arrival) in moves.Zip(arrivals))
                {
                    var status = AptMotorStatus.TryRead(arrival)!;
                    if (status.MotionError)
                    {
                        throw new DeviceException(Name, Address.Text, string.Create(
                            CultureInfo.InvariantCulture,
                            $"motion error of {Actuators[move.Paddle].Name}: sent to {ToDegrees(move.Counts):F2} deg, stopped at {ToDegrees(status.Position):F2} deg, status 0x{(uint)status.Bits:X8}"));
                    }
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// A movement has ended when the instrument says so, or when its status shows the motor at rest where it was sent: a movement to
    /// where it already stands may end without a word. What the instrument still says of a movement that its status had ended is not taken
    /// for the end of the next, which may be to a place a step away.
    /// </summary>
    private Func<AptFrame, bool> EndOf(Movement move, bool errorBefore) => frame =>
    {
        if (AptMotorStatus.TryRead(frame) is not { } status || status.Channel != Channel(move.Paddle))
        {
            return false;
        }

        var distance = Math.Abs(status.Position - move.Counts);
        if (frame.Id == AptId.MoveCompleted)
        {
            return !_completionIsLate[move.Paddle] && (status.MotionError || distance <= ArrivedWithinCounts);
        }

        var ended = !status.InMotion && (distance <= HeldWithinCounts || (status.MotionError && !errorBefore));
        _completionDue[move.Paddle] |= ended;
        return ended;
    };

    /// <summary>Runs one movement at a time, with the motors on, and stops them when it is cut off.</summary>
    private async ValueTask InMotionAsync(
        string request, TimeSpan limit, IReadOnlyList<int> paddles, Func<CancellationToken, ValueTask> movement, CancellationToken cancellationToken)
    {
        await _motion.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (!_enabled)
            {
                await SetEnabledAsync(true, cancellationToken).ConfigureAwait(false);
            }

            try
            {
                await WithinAsync(
                    request,
                    limit,
                    async token =>
                    {
                        await movement(token).ConfigureAwait(false);
                        return true;
                    },
                    cancellationToken).ConfigureAwait(false);
            }
            catch (Exception cut) when (cut is OperationCanceledException or DeviceTimeoutException && !IsBroken)
            {
                await StopAsync(paddles).ConfigureAwait(false);
                throw;
            }
        }
        finally
        {
            _motion.Release();
        }
    }

    private async ValueTask StopAsync(IReadOnlyList<int> paddles)
    {
        try
        {
            await WithinAsync(
                "stopping",
                _settings.Timeout,
                async token => await SendAndAwaitAsync(
                    [.. paddles.Select(paddle => AptFrame.Short(AptId.Stop, (byte)Channel(paddle), StopProfiled))],
                    [.. paddles.Select(paddle => Says(AptId.Stopped, paddle))],
                    pollAfter: null,
                    token).ConfigureAwait(false),
                CancellationToken.None).ConfigureAwait(false);
        }
        catch (DeviceException problem)
        {
            // The caller already hears why the movement ended.
            Publish(DeviceEventKind.Warning, $"not stopped for certain: {problem.Message}");
        }
    }

    /// <summary>Sends frames, waits for one end each, and asks for the state now and then meanwhile.</summary>
    private async ValueTask<AptFrame[]> SendAndAwaitAsync(
        IReadOnlyList<AptFrame> requests,
        IReadOnlyList<Func<AptFrame, bool>> ends,
        IReadOnlyList<AptFrame>? pollAfter,
        CancellationToken cancellationToken)
    {
        var waits = ends.Select(_connection.Expect).ToArray();
        try
        {
            foreach (var request in requests)
            {
                await _connection.SendAsync(request, cancellationToken).ConfigureAwait(false);
            }

            var all = Task.WhenAll(waits.Select(wait => wait.WaitAsync(cancellationToken)));
            while (pollAfter is not null && await Task.WhenAny(all, Task.Delay(PollInterval, Time, cancellationToken)).ConfigureAwait(false) != all)
            {
                foreach (var poll in pollAfter)
                {
                    await _connection.SendAsync(poll, cancellationToken).ConfigureAwait(false);
                }
            }

            return await all.ConfigureAwait(false);
        }
        finally
        {
            foreach (var wait in waits)
            {
                wait.Dispose();
            }
        }
    }

    private readonly record struct Movement(int Paddle, int Counts);
}
