using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>
/// The emulated reference transmitter: weak-coherent source, modulator and marker output behind one TCP socket, after
/// <c>docs/devices/reference-transmitter.md</c>. The world asks what light leaves (<see cref="TakeEmission"/>); the slots it takes are the
/// slots that have left, so the emulator's speed is the world's.
/// </summary>
/// <remarks>
/// <see cref="InstrumentFault.Silent"/>: what arrives is thrown away, so that a lease is not renewed either.
/// <see cref="InstrumentFault.Disconnect"/>: new connections are closed at once until the fault is gone.
/// </remarks>
public sealed class ReferenceTransmitterEmulator : IEmulatedInstrument
{
    private static readonly TimeSpan FarewellPatience = TimeSpan.FromSeconds(1);

    private readonly TransmitterSettings _settings;
    private readonly TransmitterCore _core;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _end = new();
    private readonly Lock _gate = new();

    private Socket? _listener;
    private Task _accepting = Task.CompletedTask;
    private HostConnection? _host;
    private InstrumentFault _fault;
    private bool _disposed;

    /// <summary>Creates the instrument; it is deaf and dark until <see cref="StartAsync"/>.</summary>
    /// <param name="settings">Null for the defaults.</param>
    /// <param name="time">Bench time, in which the emission lease runs; null for the system's.</param>
    /// <param name="logger">Null for none.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public ReferenceTransmitterEmulator(
        TransmitterSettings? settings = null,
        TimeProvider? time = null,
        ILogger<ReferenceTransmitterEmulator>? logger = null)
    {
        _settings = settings ?? new TransmitterSettings();
        _settings.Validate();
        _core = new TransmitterCore(_settings, time ?? TimeProvider.System);
        _logger = logger ?? NullLogger<ReferenceTransmitterEmulator>.Instance;
    }

    /// <inheritdoc/>
    public string Name => _settings.Name;

    /// <inheritdoc/>
    public string DriverId => "reference.transmitter";

    /// <inheritdoc/>
    public string Address { get; private set; } = "";

    /// <summary>None.</summary>
    public IReadOnlyDictionary<string, string> Endpoints { get; } = new Dictionary<string, string>();

    /// <summary>None.</summary>
    public IReadOnlyDictionary<string, string> Options { get; } = new Dictionary<string, string>();

    /// <summary>Whether modulated light leaves.</summary>
    public EmissionState State => _core.State;

    /// <summary>Mean photons a pulse at the output for each intensity, brightest first.</summary>
    public IReadOnlyList<double> PhotonsPerPulse => _settings.PhotonsPerPulse;

    /// <summary>A marker leaves at the start of each slot whose number is a multiple of this, while <see cref="EmissionState.Running"/>.</summary>
    public int MarkerDivisor => _core.MarkerDivisor;

    /// <summary>Slots a frame, as configured last.</summary>
    public int FrameSlots => _core.FrameSlots;

    /// <summary>Symbols a second.</summary>
    public double SymbolRateHertz => _settings.SymbolRateHertz;

    /// <summary>Whether the key switch is on.</summary>
    public bool KeySwitchOn
    {
        get => (_core.Interlock & InterlockBits.KeySwitch) == 0;
        set => _core.SetInterlock(InterlockBits.KeySwitch, !value, value ? "key switch on" : "key switch off");
    }

    /// <summary>Whether the interlock loop is closed.</summary>
    public bool InterlockLoopClosed
    {
        get => (_core.Interlock & InterlockBits.Loop) == 0;
        set => _core.SetInterlock(InterlockBits.Loop, !value, value ? "interlock loop closed" : "interlock loop open");
    }

    /// <summary>Laser temperature in degrees Celsius; outside the settings' range it opens the interlock.</summary>
    public double LaserTemperatureCelsius
    {
        get => _core.Temperature;
        set => _core.Temperature = value;
    }

    /// <summary>Sets a fault of the laser, which puts the light out, or mends it with an empty text.</summary>
    /// <param name="text">The instrument's words for it.</param>
    public void SetFault(string text) => _core.SetFault(text);

    /// <summary>
    /// Takes the slots that leave in the next stretch. Fewer than asked for, or 0, where symbols are short or no light is on. For one
    /// thread.
    /// </summary>
    /// <param name="maxSlots">At most so many; rounded down to a multiple of 64.</param>
    /// <param name="packedSymbols">Receives them, four words for each 64 slots; must hold <paramref name="maxSlots"/>.</param>
    /// <param name="firstSlot">Number of the first of them, or of the next to leave if there is none.</param>
    /// <returns>Number of slots, a multiple of 64.</returns>
    public int TakeEmission(int maxSlots, Span<ulong> packedSymbols, out long firstSlot) =>
        _core.TakeEmission(maxSlots, packedSymbols, out firstSlot);

    /// <summary>Bench time has passed for a slot whose symbol was not there: modulation stops. Nothing happens while dark.</summary>
    public void DeclareUnderrun() => _core.DeclareUnderrun();

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var endpoint = new IPEndPoint(IPAddress.Parse(_settings.ListenAddress), _settings.Port);
        var listener = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(endpoint);
            listener.Listen();
        }
        catch (SocketException exception)
        {
            listener.Dispose();
            throw new IOException($"Emulated transmitter '{Name}' cannot listen on {endpoint}: {exception.Message}", exception);
        }

        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        Address = string.Create(CultureInfo.InvariantCulture, $"TCPIP0::{_settings.ListenAddress}::{port}::SOCKET");
        _listener = listener;
        _accepting = AcceptAsync(listener);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void Inject(InstrumentFault fault)
    {
        HostConnection? host = null;
        lock (_gate)
        {
            if (_fault == fault)
            {
                return;
            }

            _fault = fault;
            if (fault == InstrumentFault.Disconnect)
            {
                host = _host;
            }
        }

        Log.TransmitterFault(_logger, Name, fault);
        _ = host?.DisposeAsync().AsTask();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _end.CancelAsync().ConfigureAwait(false);
        _listener?.Dispose();
        await _accepting.ConfigureAwait(false);
        if (_host is { } host)
        {
            await host.DisposeAsync().ConfigureAwait(false);
        }

        _core.Dispose();
        _end.Dispose();
    }

    private InstrumentFault Fault
    {
        get
        {
            lock (_gate)
            {
                return _fault;
            }
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await listener.AcceptAsync(_end.Token).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // This one connection failed before it was accepted.
                continue;
            }

            if (Fault == InstrumentFault.Disconnect)
            {
                socket.Dispose();
                continue;
            }

            if (_host is { HostLeft: true } left)
            {
                // It is being cleaned up. If the socket only looked closed, the old host stays.
                await Task.WhenAny(left.Completion, Task.Delay(FarewellPatience, _end.Token)).ConfigureAwait(false);
            }

            if (_host is { Completion.IsCompleted: false })
            {
                Log.TransmitterInUse(_logger, Name);
                _ = RefuseAsync(socket);
                continue;
            }

            lock (_gate)
            {
                _host = new HostConnection(socket, _core, () => Fault, _settings.LateAnswerDelay);
            }
        }
    }

    /// <summary>Tells a second host so, and closes in a way that lets it read that.</summary>
    private async Task RefuseAsync(Socket socket)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
        patience.CancelAfter(FarewellPatience);
        using (socket)
        {
            try
            {
                var refusal = TransmitterMessage.Refusal(0, RefusalCode.InUse, "in use by another host");
                await socket.SendAsync(refusal, SocketFlags.None, patience.Token).ConfigureAwait(false);
                socket.Shutdown(SocketShutdown.Send);
                var ignored = new byte[256];
                while (await socket.ReceiveAsync(ignored, SocketFlags.None, patience.Token).ConfigureAwait(false) > 0)
                {
                }
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException)
            {
                // It did not wait for the answer.
            }
        }
    }
}
