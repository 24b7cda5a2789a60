using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports;

namespace Qkd.Drivers.Reference.Transmitter;

/// <summary>
/// A transmitter that speaks the protocol of <c>docs/devices/reference-transmitter.md</c>: source and modulator in one. Requests of several
/// callers overlap on the wire, and loading symbols never keeps them waiting for more than one message. Disposing switches the light off.
/// </summary>
public sealed partial class ReferenceTransmitter : DeviceBase, ISinglePhotonSource, IPolarizationModulator
{
    private const string Protocol = "a transmitter that speaks the reference protocol";

    private readonly ReferenceTransmitterSettings _settings;
    private readonly TransmitterConnection _connection;
    private readonly StatusParameters _status;
    private SourceCapabilities? _source;
    private ModulatorCapabilities? _modulator;

    internal ReferenceTransmitter(DeviceOpenRequest request, ReferenceTransmitterSettings settings, IByteTransport transport)
        : base(request)
    {
        _settings = settings;
        _status = AddStatusParameters();
        _connection = new(transport, request.Name, OnReceived, OnLost);
        _connection.Start();
    }

    /// <inheritdoc/>
    public SourceCapabilities SourceCapabilities => _source!;

    /// <inheritdoc/>
    public ModulatorCapabilities ModulatorCapabilities => _modulator!;

    /// <inheritdoc/>
    /// <remarks>One request for all parameters.</remarks>
    public override async ValueTask<DeviceSnapshot> SnapshotAsync(CancellationToken cancellationToken)
    {
        await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
        return new(
            Name,
            Identity,
            Time.GetUtcNow(),
            [
                .. Parameters.Select(parameter => new SnapshotEntry(
                    parameter.Name, parameter.Unit, parameter.Last!.Value.Value, parameter.Minimum, parameter.Maximum, parameter.Last.Value.Time)),
            ]);
    }

    /// <summary>Asks what the instrument is and can do, checks it, and reads its state.</summary>
    /// <exception cref="WrongDeviceException">Another model or serial number, or something that does not speak this protocol.</exception>
    internal async ValueTask IdentifyAsync(CancellationToken cancellationToken)
    {
        Identity = await ReadIdentityAsync(cancellationToken).ConfigureAwait(false);
        Check("model", _settings.Model, Identity.Model);
        Check("s/n", _settings.SerialNumber, Identity.SerialNumber);
        var capabilities = await RequestAsync(MessageKind.Capabilities, "CAPABILITIES", default, TransmitterCapabilities.Read, cancellationToken).ConfigureAwait(false);
        _largestFrame = capabilities.LargestFrame;
        _source = new()
        {
            RepetitionRateHertz = capabilities.SymbolRateHertz,
            PhaseRandomised = capabilities.PhaseRandomised,
            OutputPhotonsPerPulse = capabilities.PhotonsPerPulse,
            LeaseDuration = capabilities.Lease,
        };
        _modulator = new()
        {
            SymbolRateHertz = capabilities.SymbolRateHertz,
            IntensityCount = capabilities.PhotonsPerPulse.Count,
            Modes = capabilities.Modes,
            BufferSlots = capabilities.BufferSlots,
            MaximumMarkerDivisor = capabilities.LargestMarkerDivisor,
        };
        await ReadStatusAsync(cancellationToken).ConfigureAwait(false);

        void Check(string what, string wanted, string found)
        {
            if (wanted.Length > 0 && !string.Equals(wanted, found, StringComparison.OrdinalIgnoreCase))
            {
                throw new WrongDeviceException(Name, Address.Text, $"{what} {wanted}", Identity.ToString());
            }
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask ReleaseAsync()
    {
        EndFlow(() => new ObjectDisposedException(nameof(ReferenceTransmitter)));
        try
        {
            if (!LeaveAsFound)
            {
                await DarkenAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            // Whatever became of LASER OFF, the light goes off with the connection.
            await _connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask<DeviceIdentity> ReadIdentityAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await RequestAsync(
                MessageKind.Identify,
                "IDENTIFY",
                default,
                payload =>
                {
                    var reader = new PayloadReader(payload);
                    var identity = new DeviceIdentity(reader.Text(), reader.Text(), reader.Text(), reader.Text());
                    reader.End();
                    return identity;
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (DeviceException) when (_connection is { HeardFrame: false, HeardNonsense: true })
        {
            throw new WrongDeviceException(Name, Address.Text, Protocol, $"something that answers IDENTIFY with 0x{_connection.Heard}");
        }
    }

    private async ValueTask<TransmitterStatus> ReadStatusAsync(CancellationToken cancellationToken)
    {
        var status = await RequestAsync(MessageKind.Status, "STATUS", default, TransmitterStatus.Read, cancellationToken).ConfigureAwait(false);
        _status.Note(status);
        return status;
    }

    private async ValueTask CommandAsync(MessageKind kind, string what, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        await RequestAsync(kind, what, payload, ReadNothing, cancellationToken).ConfigureAwait(false);

    private ValueTask<T> RequestAsync<T>(
        MessageKind kind, string what, ReadOnlyMemory<byte> payload, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        return AskAsync(kind, what, payload, read, cancellationToken);
    }

    /// <summary>As <see cref="RequestAsync{T}"/>, for a device that is being disposed of as well.</summary>
    private async ValueTask<T> AskAsync<T>(
        MessageKind kind, string what, ReadOnlyMemory<byte> payload, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken)
    {
        var reply = await WithinAsync(
            what,
            _settings.Timeout,
            async token => await _connection.RequestAsync(kind, payload, token).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
        if (reply.Kind == (byte)MessageKind.Error)
        {
            var (code, text) = TransmitterConnection.ReadError(reply);
            throw code == ErrorCode.InterlockOpen
                ? await ToInterlockAsync(what, code, text, cancellationToken).ConfigureAwait(false)
                : Refused(what, code, text);
        }

        try
        {
            return reply.Answers(kind) ? read(reply.Payload) : throw new PayloadException($"a message of type 0x{reply.Kind:X2}");
        }
        catch (PayloadException problem)
        {
            throw new DeviceProtocolException(Name, Address.Text, what, $"{problem.Message}; payload 0x{Hex(reply.Payload)}", problem);
        }
    }

    private static bool ReadNothing(ReadOnlyMemory<byte> payload)
    {
        new PayloadReader(payload).End();
        return true;
    }

    private static string Hex(ReadOnlyMemory<byte> payload)
    {
        const int longest = 64;
        return Convert.ToHexString(payload.Span[..Math.Min(payload.Length, longest)]) + (payload.Length > longest ? "…" : "");
    }

    private DeviceRefusedException Refused(string what, ErrorCode code, string text) =>
        new(Name, Address.Text, what, $"error {(int)code} ({code}): {text}");

    /// <summary>Everything the instrument sends, in the order in which it sent it.</summary>
    private void OnReceived(TransmitterFrame frame)
    {
        try
        {
            switch (frame.Kind)
            {
                case (byte)MessageKind.Credit:
                    OnCredit(frame.Payload);
                    break;
                case (byte)MessageKind.Event:
                    OnEvent(frame.Payload);
                    break;
                default:
                    Follow(frame);
                    break;
            }
        }
        catch (PayloadException problem)
        {
            // What the instrument says unasked cannot be asked for again.
            throw new DeviceProtocolException(
                Name, Address.Text, "nothing", $"a message of type 0x{frame.Kind:X2}: {problem.Message}; payload 0x{Hex(frame.Payload)}", problem);
        }
    }

    private void OnEvent(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var kind = (EventKind)reader.Byte();
        var text = reader.Text();
        reader.End();
        switch (kind)
        {
            case EventKind.Interlock or EventKind.Fault or EventKind.LeaseLapsed:
                LightWentOff(text);
                Publish(
                    kind == EventKind.Fault ? DeviceEventKind.Fault : DeviceEventKind.Interlock,
                    kind == EventKind.LeaseLapsed ? $"the emission lease has lapsed: {text}" : text);
                break;
            case EventKind.Underrun:
                ModulationEnded($"ended by an underrun: {text}");
                Publish(DeviceEventKind.Warning, $"underrun: {text}");
                break;
            case EventKind.Recovered:
                Publish(DeviceEventKind.Healthy, text);
                break;
            default:
                Publish(DeviceEventKind.Warning, $"event {(int)kind}: {text}");
                break;
        }
    }

    private void OnLost(string problem)
    {
        MarkBroken(problem);
        EndFlow(() => new DeviceDisconnectedException(Name, Address.Text, problem));
    }

    private StatusParameters AddStatusParameters()
    {
        return new(
            AddParameter("emitting", "", Read(status => status.Emitting)),
            AddParameter("interlock", "", Read(status => status.Interlock.ToString())),
            AddParameter("laser_temperature", "degC", Read(status => status.TemperatureCelsius)),
            AddParameter("running", "", Read(status => status.Running)),
            AddParameter("next_slot", "", Read(status => status.NextSlot), minimum: 0),
            AddParameter("buffered_slots", "", Read(status => status.BufferedSlots), minimum: 0),
            AddParameter("underruns", "", Read(status => status.Underruns), minimum: 0),
            AddParameter("fault", "", Read(status => status.Fault)));

        Func<CancellationToken, ValueTask<T>> Read<T>(Func<TransmitterStatus, T> value) =>
            async token => value(await ReadStatusAsync(token).ConfigureAwait(false));
    }

    private sealed record StatusParameters(
        DeviceParameter<bool> Emitting,
        DeviceParameter<string> Interlock,
        DeviceParameter<double> Temperature,
        DeviceParameter<bool> Running,
        DeviceParameter<long> NextSlot,
        DeviceParameter<long> BufferedSlots,
        DeviceParameter<long> Underruns,
        DeviceParameter<string> Fault)
    {
        public void Note(TransmitterStatus status)
        {
            Emitting.Note(status.Emitting);
            Interlock.Note(status.Interlock.ToString());
            Temperature.Note(status.TemperatureCelsius);
            Running.Note(status.Running);
            NextSlot.Note(status.NextSlot);
            BufferedSlots.Note(status.BufferedSlots);
            Underruns.Note(status.Underruns);
            Fault.Note(status.Fault);
        }
    }
}
