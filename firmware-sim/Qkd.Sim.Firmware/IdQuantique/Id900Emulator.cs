using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// An emulated ID Quantique ID900 time controller with the vendor's stream service beside it: SCPI over ZeroMQ, timestamps as
/// sub-acquisitions over PAIR sockets. The world records pulses in bench time; the instrument stamps them with its own clock.
/// </summary>
/// <remarks>
/// <para>
/// The recording methods are for one thread. Within a stretch they may be called in any order; <see cref="AdvanceTo"/> ends the stretch.
/// Pulses may be recorded in advance; a pulse earlier than the time already advanced to is lost and counted in <see cref="LatePulses"/>.
/// </para>
/// <para>
/// A timestamp before the first reference edge of its sub-acquisition does not exist; the index counts edges, 1 for the first. At the
/// end of each sub-acquisition every running stream gets at least one message, an empty one if there was no tag. With
/// <c>RAWn:REF:LINK NONE</c> and an index asked for, the index is 0.
/// </para>
/// <para>
/// <see cref="InstrumentFault.Silent"/>: requests are not taken and no data leaves; they are answered late, when the fault is gone.
/// <see cref="InstrumentFault.Garbage"/>: random bytes for answers, and stream messages with three bytes missing.
/// <see cref="InstrumentFault.Disconnect"/>: all sockets are closed and the streams forgotten, until the fault is gone.
/// </para>
/// </remarks>
public sealed class Id900Emulator : IEmulatedInstrument
{
    private readonly Id900Settings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly TagRecorder _recorder;

    private Id900Wire? _wire;
    private int _streamPort;

    /// <summary>Creates the instrument; it is deaf until <see cref="StartAsync"/>.</summary>
    /// <param name="settings">Null for the defaults.</param>
    /// <param name="time">Bench time; only for what the stream service reports as inactivity.</param>
    /// <param name="logger">Null for none.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public Id900Emulator(Id900Settings? settings = null, TimeProvider? time = null, ILogger<Id900Emulator>? logger = null)
    {
        _settings = settings ?? new Id900Settings();
        _settings.Validate();
        _time = time ?? TimeProvider.System;
        _logger = logger ?? NullLogger<Id900Emulator>.Instance;
        _recorder = new TagRecorder(_settings, _time);
    }

    /// <inheritdoc/>
    public string Name => _settings.Name;

    /// <inheritdoc/>
    public string DriverId => "idquantique.id900";

    /// <inheritdoc/>
    public string Address => _wire is { } wire ? VisaAddress(wire.ControlPort) : "";

    /// <summary>The stream service as <c>Stream</c>.</summary>
    public IReadOnlyDictionary<string, string> Endpoints { get; private set; } = new Dictionary<string, string>();

    /// <summary>The first of four free ports for the streams as <c>StreamPort</c>.</summary>
    public IReadOnlyDictionary<string, string> Options { get; private set; } = new Dictionary<string, string>();

    /// <summary>
    /// Whether the host is not taking the data fast enough: more than <see cref="Id900Settings.BacklogAcquisitions"/> sub-acquisitions wait for
    /// it. A bench whose time can wait should; false again for a host that has taken nothing for <see cref="Id900Settings.HostPatience"/>.
    /// </summary>
    public bool Backlogged =>
        _wire is { } wire
        && _recorder.Backlog > _settings.BacklogAcquisitions
        && Environment.TickCount64 - wire.LastTaken < _settings.HostPatience.TotalMilliseconds;

    /// <summary>Pulses recorded too late to be stamped.</summary>
    public long LatePulses
    {
        get
        {
            lock (_gate)
            {
                return _recorder.Inputs.Sum(input => input.Late);
            }
        }
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_wire is not null)
        {
            throw new InvalidOperationException($"Emulated ID900 '{Name}' has been started already.");
        }

        _streamPort = _settings.StreamPort == 0 ? StreamPorts.Reserve(IPAddress.Parse(_settings.ListenAddress)) : _settings.StreamPort;
        _wire = new Id900Wire(_settings, _recorder, _gate, _time, _logger);
        Endpoints = new Dictionary<string, string> { ["Stream"] = VisaAddress(_wire.ServicePort) };
        Options = new Dictionary<string, string> { ["StreamPort"] = _streamPort.ToString(CultureInfo.InvariantCulture) };
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void Inject(InstrumentFault fault) => _wire?.Inject(fault);

    /// <summary>Records pulses on an input.</summary>
    /// <param name="input">1 to 4.</param>
    /// <param name="benchPicoseconds">Arrival times in bench time, ascending.</param>
    public void RecordClicks(int input, ReadOnlySpan<long> benchPicoseconds)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(input, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(input, 4);
        lock (_gate)
        {
            _recorder.RecordPulses(input, benchPicoseconds);
        }
    }

    /// <summary>Records a train of edges on the STAR input.</summary>
    /// <param name="firstEdgeBenchPicoseconds">The first edge in bench time.</param>
    /// <param name="periodPicoseconds">Bench time from edge to edge.</param>
    /// <param name="count">Number of edges.</param>
    public void RecordReferenceEdges(long firstEdgeBenchPicoseconds, long periodPicoseconds, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        lock (_gate)
        {
            _recorder.RecordTrain(0, firstEdgeBenchPicoseconds, periodPicoseconds, count);
        }
    }

    /// <summary>Says that everything before a bench time has been recorded; sub-acquisitions that ended by then are delivered.</summary>
    /// <param name="benchPicoseconds">Bench time, never decreasing.</param>
    public void AdvanceTo(long benchPicoseconds)
    {
        bool delivered;
        int backlog;
        lock (_gate)
        {
            backlog = _recorder.Backlog;
            delivered = _recorder.AdvanceTo(benchPicoseconds);
        }

        if (delivered)
        {
            _wire?.Wake(first: backlog == 0);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _wire, null) is { } wire)
        {
            // Stopping the socket thread waits for it.
            await Task.Run(wire.Dispose).ConfigureAwait(false);
        }

        StreamPorts.Release(_streamPort);
    }

    private string VisaAddress(int port) => string.Create(CultureInfo.InvariantCulture, $"TCPIP0::{_settings.ListenAddress}::{port}::SOCKET");
}
