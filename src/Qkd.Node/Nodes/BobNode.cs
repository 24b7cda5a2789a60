using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link;
using Qkd.Link.Recording;
using Qkd.Link.Session;
using Qkd.Link.Wire;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Node.Keys;
using Qkd.Node.Polarization;
using Qkd.Node.Recording;
using Qkd.Node.Status;
using Qkd.Timing;

namespace Qkd.Node.Nodes;

/// <summary>Bob's node: opens tagger, detectors and polarization controller, connects to Alice and makes key with her.</summary>
public sealed class BobNode : INode
{
    private static readonly TimeSpan PauseBeforeConnecting = TimeSpan.FromMilliseconds(250);

    private readonly NodeParts _parts;
    private readonly BobOptions _options;
    private readonly LinkAgreement _agreement;
    private readonly AdaptiveReconciler _reconciler;
    private readonly ILogger _logger;
    private readonly NodeRecording? _recording;
    private CancellationToken _ending;
    private readonly CountRateGuard _guard;

    /// <summary>Creates a node that does nothing yet.</summary>
    /// <exception cref="ConfigurationException">Sessions are to be recorded, and cannot be.</exception>
    public BobNode(NodeParts parts, NodeMonitor monitor, NodeKeys keys)
    {
        ArgumentNullException.ThrowIfNull(parts);
        _parts = parts;
        _options = parts.Options.Bob!;
        _agreement = Agreement.From(parts.Options.Protocol);
        _reconciler = AdaptiveReconciler.Create(parts.Options.Protocol.Reconciliation, OperatingSystemRandomness.Instance);
        _logger = parts.Loggers.CreateLogger<BobNode>();
        _guard = new CountRateGuard(_options.Receiver.CountRateLimitHertz, monitor);
        _recording = NodeRecording.Open(parts.Options, LinkEnd.Bob, monitor, parts.Time);
        Monitor = monitor;
        Keys = keys;
    }

    /// <inheritdoc/>
    public string Name => _options.Name;

    /// <inheritdoc/>
    public NodeMonitor Monitor { get; }

    /// <inheritdoc/>
    public NodeKeys Keys { get; }

    /// <inheritdoc/>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _ending = cancellationToken;
        var backoff = new Backoff(TimeSpan.FromSeconds(10));
        Keys.BlockConfirmed += backoff.Reset;
        using var limit = new SessionLimit(Keys, _parts.Time);
        while (true)
        {
            try
            {
                await using var devices = await DeviceSet.OpenAsync(
                    Name, "Bench:Bob", _options.Devices, _parts.Catalog, _parts.Book, Monitor, _parts.Time, _logger, cancellationToken);
                await devices.UseAsync(token => ReceiveAsync(devices, limit, token), cancellationToken);
            }
            catch (DeviceException e)
            {
                Monitor.Alarm(AlarmKind.Device, e.Message);
                Monitor.StateChanged(SessionState.Stopped, e.Message);
                await WaitAsync(e.Message, backoff, cancellationToken);
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _recording?.Dispose();
        return Keys.DisposeAsync();
    }

    private async Task ReceiveAsync(DeviceSet devices, SessionLimit limit, CancellationToken cancellationToken)
    {
        var tagger = devices.Role<ITimeTagger>("Tagger", _options.Roles.Tagger);
        var detectors = devices.Role<ISinglePhotonDetector>("Detectors", _options.Roles.Detectors);
        var controller = devices.Role<IPolarizationController>("Polarization", _options.Roles.Polarization);
        await PrepareAsync(tagger, detectors, controller, cancellationToken);
        if (_recording is not null)
        {
            await _recording.AskAsync(devices.Devices, cancellationToken);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var guard = _guard.RunAsync(detectors, stop.Token);
        var keeper = new PolarizationKeeper(
            controller, _options.Polarization, _agreement.FrameSlots, _agreement.RepetitionRateHertz, Monitor, _parts.Time);
        var attempt = Task.CompletedTask;
        try
        {
            while (true)
            {
                attempt = RunSessionAsync(tagger, keeper, limit, stop.Token);
                await await Task.WhenAny(attempt, guard);
            }
        }
        finally
        {
            // Whichever of the two failed, the other must be done with the devices before they are closed.
            await stop.CancelAsync();
            await Task.WhenAll(attempt, guard).ContinueWith(
                static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task RunSessionAsync(ITimeTagger tagger, PolarizationKeeper keeper, SessionLimit limit, CancellationToken cancellationToken)
    {
        // Connecting costs nothing, a greeting costs key: only what comes after the welcome is counted and slowed down.
        await Task.Delay(limit.Wait(), _parts.Time, cancellationToken);
        var begun = false;
        try
        {
            Monitor.StateChanged(SessionState.Disconnected, $"connecting to {_options.Link.Endpoint}");
            await using var connection = await ConnectAsync(cancellationToken);
            limit.Begin();
            begun = true;
            await using var recorder = _recording?.Begin(_agreement);
            using var session = new BobSession(connection, Keys.NextBlockId(), Parts(tagger, keeper) with { Recorder = recorder ?? (ISessionRecorder)NoRecording.Instance });
            using var attached = Keys.Attach(session);
            await session.RunAsync(cancellationToken);
        }
        catch (LinkException e)
        {
            // When both nodes of a process end, one of them is first.
            _ending.ThrowIfCancellationRequested();
            if (begun)
            {
                Monitor.Alarm(e is LinkAuthenticationException or LinkProtocolException ? AlarmKind.ClassicalChannel : AlarmKind.Link, e.Message);
                limit.End();
            }

            var wait = begun ? limit.Wait() : PauseBeforeConnecting;
            Monitor.StateChanged(SessionState.Disconnected, FormattableString.Invariant($"{e.Message} Next attempt in {wait.TotalSeconds:0.#} s."));
            Log.SessionEnded(_logger, Name, e.Message, wait.TotalSeconds);
            if (!begun)
            {
                await Task.Delay(PauseBeforeConnecting, _parts.Time, cancellationToken);
            }
        }
    }

    private BobSessionParts Parts(ITimeTagger tagger, PolarizationKeeper keeper)
    {
        var receiver = _options.Receiver;
        return new BobSessionParts
        {
            Agreement = _agreement,
            Grade = Agreement.Attested(receiver.Attestations.ReceiverModel) && receiver.SplitterZ == 0.5 ? KeyGrade.Attested : KeyGrade.Laboratory,
            Tagger = tagger,
            Stream = new TagStreamRequest
            {
                Channels = receiver.Channels,
                ReferenceChannel = receiver.Synchronisation == SlotSynchronisation.Marker ? receiver.MarkerChannel : null,
                AcquisitionLength = TimeSpan.FromMilliseconds(receiver.AcquisitionMs),
            },
            NewReceiver = random => ITagReceiver.Create(
                receiver.Synchronisation == SlotSynchronisation.Marker ? TagTimeBase.Referenced : TagTimeBase.Absolute, ReceiverSettings(), random),
            Polarization = keeper,
            Key = Keys.Authentication,
            Sink = Keys,
            Monitor = Monitor,
            Handler = Keys,
            Reconciler = _reconciler,
            BlockIdUsed = Keys.UseBlockId,
            Timeouts = Agreement.Timeouts(_options.Link),
        };
    }

    private async Task<LinkConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        var endpoint = HostAndPort.Parse(_options.Link.Endpoint);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(TimeSpan.FromSeconds(10));
            await socket.ConnectAsync(await endpoint.ResolveAsync(limit.Token), limit.Token);
            var connection = LinkConnection.FromSocket(socket, _parts.Time);
            await LinkCaller.AwaitWelcomeAsync(connection, limit.Token);
            return connection;
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (e is SocketException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                throw new LinkException($"Alice does not answer at {endpoint}: {e.Message}", e);
            }

            throw;
        }
    }

    private async Task WaitAsync(string reason, Backoff backoff, CancellationToken cancellationToken)
    {
        var wait = backoff.Next();
        Log.SessionEnded(_logger, Name, reason, wait.TotalSeconds);
        await Task.Delay(wait, _parts.Time, cancellationToken);
    }

    /// <summary>Thresholds, bias and bias on; finds the paddles' positions only where they are not known.</summary>
    private async Task PrepareAsync(
        ITimeTagger tagger, ISinglePhotonDetector detectors, IPolarizationController controller, CancellationToken cancellationToken)
    {
        var receiver = _options.Receiver;
        foreach (var channel in receiver.Channels)
        {
            await tagger.ConfigureInputAsync(new TaggerInput(channel, receiver.ThresholdVolts, receiver.ThresholdVolts < 0 ? EdgeSlope.Falling : EdgeSlope.Rising), cancellationToken);
        }

        if (receiver.Synchronisation == SlotSynchronisation.Marker)
        {
            await tagger.ConfigureInputAsync(new TaggerInput(receiver.MarkerChannel, receiver.MarkerThresholdVolts, EdgeSlope.Rising), cancellationToken);
        }

        if (receiver.BiasMicroamperes.Count > 0)
        {
            await detectors.SetBiasCurrentsAsync(receiver.BiasMicroamperes.ToArray(), cancellationToken);
        }

        if (_guard.Tripped is { } tripped)
        {
            Monitor.Alarm(AlarmKind.Device, tripped);
        }

        await detectors.SetEnabledAsync(_guard.Tripped is null, cancellationToken);
        if (!controller.PositionsKnown)
        {
            await controller.HomeAsync(cancellationToken);
        }
    }

    private TagReceiverSettings ReceiverSettings()
    {
        var receiver = _options.Receiver;
        (Basis Basis, int Bit)[] states = [(Basis.Z, 0), (Basis.Z, 1), (Basis.X, 0), (Basis.X, 1)];
        return new TagReceiverSettings
        {
            SlotPeriodPicoseconds = 1e12 / _agreement.RepetitionRateHertz,
            MarkerDivisor = _agreement.MarkerDivisor,
            FrameSlots = _agreement.FrameSlots,
            PilotSlots = _agreement.PilotSlots,
            VacuumIntensity = _agreement.Probabilities.IntensitiesOf256.Count - 1,
            GateWidthPicoseconds = receiver.GateWidthPicoseconds,
            DeadTimePicoseconds = receiver.DeadTimeNanoseconds * 1000,
            Detectors = [.. receiver.Channels.Select((channel, i) => new ReceiverDetector(
                channel, states[i].Basis, states[i].Bit, receiver.DelaysPicoseconds.Count > 0 ? receiver.DelaysPicoseconds[i] : 0)
            {
                GateWidthPicoseconds = receiver.GateWidthsPicoseconds.Count > 0 ? receiver.GateWidthsPicoseconds[i] : null,
            })],
        };
    }
}
