using System.Buffers.Binary;
using Qkd.Devices;

namespace Qkd.Drivers.Reference.Transmitter;

public sealed partial class ReferenceTransmitter
{
    // 256 KiB: a request between two messages waits for no more than that, and there are 190 of them a second at 100 MHz.
    private const int LargestMessageSlots = 1 << 19;
    private const int SeedLength = 32;
    private const int SlotsPerWord = PackedSymbols.SlotsPerGroup / PackedSymbols.WordsPerGroup;

    // A load from its first message to its last.
    private readonly SemaphoreSlim _loading = new(1, 1);

    // A message of symbols, or CONFIGURE: held while sending, never while waiting for credit.
    private readonly SemaphoreSlim _posting = new(1, 1);
    private readonly byte[] _symbolsHead = new byte[12];
    private int _largestFrame;
    private volatile ModulationPlan? _asked;
    private volatile SymbolFlow? _flow;
    private volatile bool _running;

    /// <inheritdoc/>
    public async ValueTask ConfigureAsync(ModulationPlan plan, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ThrowIfUnusable();
        var payload = ToPayload(plan);
        await _posting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _asked = plan;
            await CommandAsync(MessageKind.Configure, "CONFIGURE", payload, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception unknown) when (unknown is DeviceTimeoutException or OperationCanceledException)
        {
            // It may have been done, and the buffer may be empty: what follows would stand in the wrong place.
            EndFlow(() => new DeviceRefusedException(Name, Address.Text, "symbols", "CONFIGURE was not answered"));
            throw;
        }
        finally
        {
            _posting.Release();
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">Not a whole number of groups.</exception>
    /// <exception cref="DeviceRefusedException">Not configured for streaming, or modulation has ended; the message says by what.</exception>
    public async ValueTask LoadSymbolsAsync(ReadOnlyMemory<ulong> packedSymbols, CancellationToken cancellationToken)
    {
        if (packedSymbols.Length % PackedSymbols.WordsPerGroup != 0)
        {
            throw new ArgumentException($"{packedSymbols.Length} words are not a whole number of groups of {PackedSymbols.WordsPerGroup}.", nameof(packedSymbols));
        }

        ThrowIfUnusable();
        await _loading.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var flow = Flow(SymbolMode.Stream);
            while (!packedSymbols.IsEmpty)
            {
                var credit = await flow.WaitForCreditAsync(PackedSymbols.SlotsPerGroup, cancellationToken).ConfigureAwait(false);
                var slots = Math.Min(Math.Min(credit / PackedSymbols.SlotsPerGroup * PackedSymbols.SlotsPerGroup, LargestMessageSlots), (long)packedSymbols.Length * SlotsPerWord);
                var words = (int)(slots / SlotsPerWord);
                await PostSymbolsAsync(flow, packedSymbols[..words], cancellationToken).ConfigureAwait(false);
                packedSymbols = packedSymbols[words..];
            }
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">Not 32 bytes, or a frame that does not follow the one before.</exception>
    /// <exception cref="DeviceRefusedException">Not configured for seeds, or modulation has ended; the message says by what.</exception>
    public async ValueTask LoadSeedAsync(long frame, ReadOnlyMemory<byte> seed, CancellationToken cancellationToken)
    {
        if (seed.Length != SeedLength)
        {
            throw new ArgumentException($"A seed has {SeedLength} bytes, not {seed.Length}.", nameof(seed));
        }

        ThrowIfUnusable();
        await _loading.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var flow = Flow(SymbolMode.Seeded);
            if (frame < 0 || (flow.NextFrame is { } next && frame != next))
            {
                throw new ArgumentException(flow.NextFrame is { } wanted ? $"Frame {frame} does not follow: {wanted} is next." : $"There is no frame {frame}.", nameof(frame));
            }

            await flow.WaitForCreditAsync(1, cancellationToken).ConfigureAwait(false);
            await PostSeedAsync(flow, frame, seed, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <inheritdoc/>
    /// <exception cref="DeviceRefusedException">The light is off, symbols are missing, or the slot does not begin a frame.</exception>
    public async ValueTask StartAsync(long firstSlot, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        RequireRange("first_slot", firstSlot, 0, null, "slots");
        var payload = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(payload, firstSlot);
        await CommandAsync(MessageKind.Start, $"START at slot {firstSlot}", payload, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask StopAsync(CancellationToken cancellationToken) => CommandAsync(MessageKind.Stop, "STOP", default, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<ModulatorStatus> GetModulatorStatusAsync(CancellationToken cancellationToken)
    {
        var status = await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
        return new(status.Running, status.NextSlot, status.BufferedSlots, status.Underruns, status.Fault);
    }

    private byte[] ToPayload(ModulationPlan plan)
    {
        var modes = ModulatorCapabilities.Modes;
        if (!modes.Contains(plan.Mode))
        {
            throw OutOfRange($"mode {plan.Mode}", (int)plan.Mode, (int)modes.Min(), (int)modes.Max(), "");
        }

        RequireRange("marker_divisor", plan.MarkerDivisor, 1, ModulatorCapabilities.MaximumMarkerDivisor, "slots");
        RequireRange("frame_slots", plan.FrameSlots, PackedSymbols.SlotsPerGroup, _largestFrame, "slots");
        if (plan.FrameSlots % PackedSymbols.SlotsPerGroup != 0 || plan.FrameSlots % plan.MarkerDivisor != 0)
        {
            throw OutOfRange($"frame_slots (multiples of {PackedSymbols.SlotsPerGroup} and of the marker divisor)", plan.FrameSlots, PackedSymbols.SlotsPerGroup, _largestFrame, "slots");
        }

        RequireRange("pilot_slots", plan.PilotSlots, 0, plan.FrameSlots, "slots");
        if (plan.PilotSlots % PackedSymbols.SlotsPerGroup != 0)
        {
            throw OutOfRange($"pilot_slots (multiples of {PackedSymbols.SlotsPerGroup})", plan.PilotSlots, 0, plan.FrameSlots, "slots");
        }

        var weights = plan.Mode == SymbolMode.Seeded ? Checked(plan.Weights) : new(0, []);
        var payload = new byte[15 + (2 * weights.IntensitiesOf256.Count)];
        payload[0] = plan.Mode == SymbolMode.Seeded ? (byte)2 : (byte)1;
        BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(1), plan.FrameSlots);
        BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(5), plan.PilotSlots);
        BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(9), plan.MarkerDivisor);
        payload[13] = (byte)weights.XBasisOf128;
        payload[14] = (byte)weights.IntensitiesOf256.Count;
        for (var i = 0; i < weights.IntensitiesOf256.Count; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(payload.AsSpan(15 + (2 * i)), (ushort)weights.IntensitiesOf256[i]);
        }

        return payload;
    }

    private SymbolWeights Checked(SymbolWeights? weights)
    {
        if (weights is null)
        {
            throw new ArgumentException("Seeds need weights.", nameof(weights));
        }

        RequireRange("x_basis_weight", weights.XBasisOf128, 0, 128, "of 128");
        RequireRange("number of intensity weights", weights.IntensitiesOf256.Count, ModulatorCapabilities.IntensityCount, ModulatorCapabilities.IntensityCount, "");
        foreach (var weight in weights.IntensitiesOf256)
        {
            RequireRange("intensity_weight", weight, 0, 256, "of 256");
        }

        RequireRange("sum of the intensity weights", weights.IntensitiesOf256.Sum(), 256, 256, "of 256");
        return weights;
    }

    private SettingOutOfRangeException OutOfRange(string setting, double value, double minimum, double maximum, string unit) =>
        new(Name, Address.Text, setting, value, minimum, maximum, unit);

    private SymbolFlow Flow(SymbolMode mode)
    {
        var flow = _flow;
        flow?.ThrowIfEnded();
        return flow is not null && flow.Plan.Mode == mode
            ? flow
            : throw new DeviceRefusedException(
                Name, Address.Text, mode == SymbolMode.Stream ? "SYMBOLS" : "SEED", flow is null ? "not configured" : $"configured for mode {flow.Plan.Mode}");
    }

    private async ValueTask PostSymbolsAsync(SymbolFlow flow, ReadOnlyMemory<ulong> words, CancellationToken cancellationToken)
    {
        await _posting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            flow.ThrowIfEnded();
            var slots = words.Length * SlotsPerWord;
            BinaryPrimitives.WriteInt64LittleEndian(_symbolsHead, flow.Sent);
            BinaryPrimitives.WriteInt32LittleEndian(_symbolsHead.AsSpan(8), slots);
            await _connection.PostAsync(MessageKind.Symbols, _symbolsHead, words, cancellationToken).ConfigureAwait(false);
            flow.Sent += slots;
        }
        finally
        {
            _posting.Release();
        }
    }

    private async ValueTask PostSeedAsync(SymbolFlow flow, long frame, ReadOnlyMemory<byte> seed, CancellationToken cancellationToken)
    {
        var payload = new byte[8 + SeedLength];
        BinaryPrimitives.WriteInt64LittleEndian(payload, frame);
        seed.CopyTo(payload.AsMemory(8));
        await _posting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            flow.ThrowIfEnded();
            await _connection.PostAsync(MessageKind.Seed, payload, default, cancellationToken).ConfigureAwait(false);
            (flow.Sent, flow.NextFrame) = (flow.Sent + 1, frame + 1);
        }
        finally
        {
            _posting.Release();
            Array.Clear(payload);
        }
    }

    /// <summary>Keeps up with what replies and refusals mean for the symbols, in the order in which the instrument sent them.</summary>
    private void Follow(TransmitterFrame frame)
    {
        if (TransmitterConnection.RefusesPosted(frame))
        {
            var (code, text) = TransmitterConnection.ReadError(frame);
            if (EndFlow(() => Refused("symbols", code, text)))
            {
                Publish(DeviceEventKind.Warning, $"symbols refused with error {(int)code} ({code}): {text}");
            }
        }
        else if (frame.Answers(MessageKind.Configure) && _asked is { } plan)
        {
            EndFlow(() => new DeviceRefusedException(Name, Address.Text, "symbols", "configured anew"));
            (_flow, _running) = (new SymbolFlow(plan), false);
        }
        else if (frame.Answers(MessageKind.Start))
        {
            _running = true;
        }
        else if (frame.Answers(MessageKind.Stop))
        {
            _running = false;
            EndFlow(() => new DeviceRefusedException(Name, Address.Text, "symbols", "modulation was ended by STOP"));
        }
        else if (frame.Answers(MessageKind.LaserOff))
        {
            ModulationEnded("ended with the light: LASER OFF");
        }
    }

    private void OnCredit(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var total = reader.Long();
        reader.End();
        _flow?.Grant(total);
    }

    /// <summary>If modulation was running, the instrument has forgotten the symbols.</summary>
    private void ModulationEnded(string how)
    {
        if (_running)
        {
            _running = false;
            EndFlow(() => new DeviceRefusedException(Name, Address.Text, "symbols", $"modulation was {how}"));
        }
    }

    private bool EndFlow(Func<Exception> reason) => _flow is { } flow && flow.End(reason);
}
