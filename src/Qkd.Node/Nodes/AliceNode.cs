using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link;
using Qkd.Link.Preparation;
using Qkd.Link.Recording;
using Qkd.Link.Session;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Node.Keys;
using Qkd.Node.Recording;
using Qkd.Node.Status;

namespace Qkd.Node.Nodes;

/// <summary>Alice's node: opens source, modulator and attenuator, sets the mean photon numbers, listens for Bob and makes key with him.</summary>
public sealed class AliceNode : INode
{
    private const double IntensityTolerance = 0.05;
    private static readonly TimeSpan GreetingTime = TimeSpan.FromSeconds(5);

    private readonly NodeParts _parts;
    private readonly AliceOptions _options;
    private readonly LinkAgreement _agreement;
    private readonly AdaptiveReconciler _reconciler;
    private readonly ILogger _logger;
    private readonly NodeRecording? _recording;
    private CancellationToken _ending;
    private readonly TcpListener _listener;

    private AliceNode(NodeParts parts, AliceOptions options, NodeMonitor monitor, NodeKeys keys, NodeRecording? recording, TcpListener listener)
    {
        _parts = parts;
        _options = options;
        _agreement = Agreement.From(parts.Options.Protocol);
        _reconciler = AdaptiveReconciler.Create(parts.Options.Protocol.Reconciliation, OperatingSystemRandomness.Instance);
        _logger = parts.Loggers.CreateLogger<AliceNode>();
        _listener = listener;
        _recording = recording;
        Monitor = monitor;
        Keys = keys;
    }

    /// <inheritdoc/>
    public string Name => _options.Name;

    /// <inheritdoc/>
    public NodeMonitor Monitor { get; }

    /// <inheritdoc/>
    public NodeKeys Keys { get; }

    /// <summary>Opens the key stores and takes the port that Bob connects to.</summary>
    /// <exception cref="ConfigurationException">The port cannot be taken.</exception>
    public static async Task<AliceNode> CreateAsync(NodeParts parts, NodeMonitor monitor, NodeKeys keys, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(parts);
        var options = parts.Options.Alice!;
        var recording = NodeRecording.Open(parts.Options, LinkEnd.Alice, monitor, parts.Time);
        try
        {
            var listener = new TcpListener(await HostAndPort.Parse(options.Link.Endpoint).ResolveAsync(cancellationToken));
            listener.Start(4);
            return new AliceNode(parts, options, monitor, keys, recording, listener);
        }
        catch (SocketException e)
        {
            recording?.Dispose();
            throw new ConfigurationException("Bench:Alice:Link:Endpoint", $"cannot listen at {options.Link.Endpoint}: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _ending = cancellationToken;
        var backoff = new Backoff(TimeSpan.FromSeconds(10));
        Keys.BlockConfirmed += backoff.Reset;
        while (true)
        {
            try
            {
                await using var devices = await DeviceSet.OpenAsync(
                    Name, "Bench:Alice", _options.Devices, _parts.Catalog, _parts.Book, Monitor, _parts.Time, _logger, cancellationToken);
                await devices.UseAsync(token => ServeAsync(devices, token), cancellationToken);
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
    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        _recording?.Dispose();
        await Keys.DisposeAsync();
    }

    private async Task ServeAsync(DeviceSet devices, CancellationToken cancellationToken)
    {
        var source = devices.Role<ISinglePhotonSource>("Source", _options.Roles.Source);
        var modulator = devices.Role<IPolarizationModulator>("Modulator", _options.Roles.Modulator);
        var attenuator = devices.Role<IAttenuator>("Attenuator", _options.Roles.Attenuator);
        CheckRate(source, modulator);
        var intensities = await SetIntensitiesAsync(source, attenuator, cancellationToken);

        if (_recording is not null)
        {
            await _recording.AskAsync(devices.Devices, cancellationToken);
        }

        var plan = new ModulationPlan
        {
            FrameSlots = _agreement.FrameSlots,
            PilotSlots = _agreement.PilotSlots,
            MarkerDivisor = _agreement.MarkerDivisor,
            Mode = SymbolMode.Stream,
        };
        await using var transmitter = new Transmitter(
            source, modulator, plan, new SymbolDrawer(OperatingSystemRandomness.Instance, _agreement.Probabilities), _options.PreparationFrames, _parts.Time);

        var parts = new AliceSessionParts
        {
            Agreement = _agreement,
            Intensities = intensities,
            Grade = Grade(source, modulator),
            Transmitter = transmitter,
            Key = Keys.Authentication,
            Sink = Keys,
            Monitor = Monitor,
            Handler = Keys,
            Reconciler = _reconciler,
            Randomness = OperatingSystemRandomness.Instance,
            BlockIdUsed = Keys.UseBlockId,
            Timeouts = Agreement.Timeouts(_options.Link),
        };

        // Only while the instruments are there: Bob spends no key on a greeting before he is welcome.
        await using var reception = new Reception(_listener, Keys.Authentication, Monitor, _parts.Time, GreetingTime);
        while (true)
        {
            Monitor.StateChanged(SessionState.Disconnected, $"listening at {_options.Link.Endpoint}");
            await RunSessionAsync(await reception.NextAsync(cancellationToken), reception, parts, cancellationToken);
        }
    }

    /// <summary>Runs one session until it ends or the peer, who must know, has begun another.</summary>
    private async Task RunSessionAsync(LinkCaller caller, Reception reception, AliceSessionParts parts, CancellationToken cancellationToken)
    {
        await using var connected = caller;
        using var replaced = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var recorder = _recording?.Begin(_agreement);
        using var session = new AliceSession(caller, Keys.NextBlockId(), parts with { Recorder = recorder ?? (ISessionRecorder)NoRecording.Instance });
        using var attached = Keys.Attach(session);
        var running = session.RunAsync(replaced.Token);
        try
        {
            await Task.WhenAny(running, reception.ComingAsync(replaced.Token));
            await replaced.CancelAsync();
            await running;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Monitor.Alarm(AlarmKind.Link, $"The peer has connected anew: the session with {caller.Connection.Peer} had ended for him.");
        }
        catch (LinkException e)
        {
            // When both nodes of a process end, one of them is first.
            _ending.ThrowIfCancellationRequested();
            var kind = e is LinkAuthenticationException or LinkProtocolException ? AlarmKind.ClassicalChannel : AlarmKind.Link;
            Monitor.Alarm(kind, e.Message);
            Monitor.StateChanged(SessionState.Disconnected, e.Message);
        }
    }

    private void CheckRate(ISinglePhotonSource source, IPolarizationModulator modulator)
    {
        foreach (var rate in new[] { source.SourceCapabilities.RepetitionRateHertz, modulator.ModulatorCapabilities.SymbolRateHertz })
        {
            if (Math.Abs((rate / _agreement.RepetitionRateHertz) - 1) > 1e-3)
            {
                throw new ConfigurationException(
                    "Bench:Protocol:RepetitionRateMHz", FormattableString.Invariant($"{_agreement.RepetitionRateHertz / 1e6} MHz is set, the transmitter runs at {rate / 1e6} MHz"));
            }
        }
    }

    /// <summary>Sets the attenuator so that signal pulses have their mean photon number, and says what all intensities then are.</summary>
    private async Task<IReadOnlyList<IntensityClass>> SetIntensitiesAsync(ISinglePhotonSource source, IAttenuator attenuator, CancellationToken cancellationToken)
    {
        var wanted = _parts.Options.Protocol.Intensities;
        var output = source.SourceCapabilities.OutputPhotonsPerPulse;
        if (output.Count != wanted.Count)
        {
            throw new ConfigurationException("Bench:Protocol:Intensities", $"{wanted.Count} intensities are set, the transmitter has {output.Count}");
        }

        var decibels = await attenuator.SetAttenuationAsync(10 * Math.Log10(output[0] / wanted[0]), cancellationToken);
        var transmission = Math.Pow(10, -decibels / 10);
        var uncertainty = _options.Attestations.IntensityUncertainty;
        var result = new IntensityClass[wanted.Count];
        for (var i = 0; i < result.Length; i++)
        {
            var mean = output[i] * transmission;
            if (Math.Abs(mean - wanted[i]) > IntensityTolerance * wanted[i])
            {
                throw new ConfigurationException(
                    $"Bench:Protocol:Intensities:{i}",
                    FormattableString.Invariant($"{wanted[i]} is wanted, the transmitter with the attenuator at {decibels:0.00} dB gives {mean:G4}"));
            }

            result[i] = new IntensityClass(mean, mean * (1 - uncertainty), mean * (1 + uncertainty), _agreement.Probabilities.Intensity(i));
        }

        Log.IntensitiesSet(_logger, Name, decibels, string.Join(", ", result.Select(r => r.Mean.ToString("G4", System.Globalization.CultureInfo.InvariantCulture))));
        return result;
    }

    private KeyGrade Grade(ISinglePhotonSource source, IPolarizationModulator modulator)
    {
        var attestations = _options.Attestations;
        return source.SourceCapabilities.PhaseRandomised
            && !modulator.ModulatorCapabilities.Repeats
            && Agreement.Attested(attestations.PhaseRandomisation, attestations.IntensityCalibration, attestations.RandomSource)
            ? KeyGrade.Attested
            : KeyGrade.Laboratory;
    }

    private async Task WaitAsync(string reason, Backoff backoff, CancellationToken cancellationToken)
    {
        var wait = backoff.Next();
        Log.SessionEnded(_logger, Name, reason, wait.TotalSeconds);
        await Task.Delay(wait, _parts.Time, cancellationToken);
    }
}
