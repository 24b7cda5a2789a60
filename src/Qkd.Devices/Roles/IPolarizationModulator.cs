namespace Qkd.Devices;

/// <summary>How a modulator comes by its symbols.</summary>
public enum SymbolMode
{
    /// <summary>The host sends one symbol a slot, from its random source.</summary>
    Stream,

    /// <summary>The host sends a fresh 256-bit seed a frame and the instrument expands it: computational, Laboratory key only.</summary>
    Seeded,

    /// <summary>The instrument repeats a pattern: Laboratory key only.</summary>
    Pattern,
}

/// <summary>A fast modulator: sets basis, bit and intensity of each pulse, slot by slot.</summary>
public interface IPolarizationModulator : IDevice
{
    /// <summary>What this modulator can do; fixed once open.</summary>
    ModulatorCapabilities ModulatorCapabilities { get; }

    /// <summary>Sets the frame, the pilot, the marker and the mode. Only while stopped.</summary>
    /// <exception cref="SettingOutOfRangeException">A value is outside the capabilities.</exception>
    ValueTask ConfigureAsync(ModulationPlan plan, CancellationToken cancellationToken);

    /// <summary>
    /// Appends symbols to the buffer (<see cref="SymbolMode.Stream"/>). Completes when the instrument has room for them, so
    /// that awaiting it is the flow control. Symbols are consecutive: the first call after <see cref="ConfigureAsync"/> begins at
    /// the slot later given to <see cref="StartAsync"/>.
    /// </summary>
    /// <param name="packedSymbols">Layout of <see cref="PackedSymbols"/>; a whole number of groups of 64 slots.</param>
    /// <param name="cancellationToken">Stops waiting for room; symbols already on the wire stay there.</param>
    ValueTask LoadSymbolsAsync(ReadOnlyMemory<ulong> packedSymbols, CancellationToken cancellationToken);

    /// <summary>Gives the seed of one frame (<see cref="SymbolMode.Seeded"/>). Completes when the instrument has room for it.</summary>
    /// <param name="frame">Frame number, consecutive.</param>
    /// <param name="seed">32 bytes, never used before.</param>
    /// <param name="cancellationToken">Stops waiting for room.</param>
    ValueTask LoadSeedAsync(long frame, ReadOnlyMemory<byte> seed, CancellationToken cancellationToken);

    /// <summary>Starts modulation at a slot, which must begin a frame. Returns when the instrument has accepted it.</summary>
    ValueTask StartAsync(long firstSlot, CancellationToken cancellationToken);

    /// <summary>Stops modulation and forgets buffered symbols.</summary>
    ValueTask StopAsync(CancellationToken cancellationToken);

    /// <summary>Reads the counters.</summary>
    ValueTask<ModulatorStatus> GetModulatorStatusAsync(CancellationToken cancellationToken);
}

/// <summary>What an <see cref="IPolarizationModulator"/> can do.</summary>
public sealed record ModulatorCapabilities
{
    /// <summary>Symbols a second.</summary>
    public required double SymbolRateHertz { get; init; }

    /// <summary>Number of intensity settings, 1 to 4.</summary>
    public required int IntensityCount { get; init; }

    /// <summary>The modes it offers.</summary>
    public required IReadOnlyList<SymbolMode> Modes { get; init; }

    /// <summary>How many symbols it can buffer in <see cref="SymbolMode.Stream"/>.</summary>
    public required long BufferSlots { get; init; }

    /// <summary>Largest marker divisor.</summary>
    public required int MaximumMarkerDivisor { get; init; }

    /// <summary>True if the instrument can only repeat a pattern, so that its key can only be Laboratory key.</summary>
    public bool Repeats => Modes.All(mode => mode == SymbolMode.Pattern);
}

/// <summary>How slots are framed and marked.</summary>
public sealed record ModulationPlan
{
    /// <summary>Slots a frame; a multiple of 64 and of <see cref="MarkerDivisor"/>.</summary>
    public required int FrameSlots { get; init; }

    /// <summary>Slots at the head of each frame that carry the public pilot; a multiple of 64.</summary>
    public required int PilotSlots { get; init; }

    /// <summary>A marker pulse leaves the instrument every so many slots, counted from slot 0.</summary>
    public required int MarkerDivisor { get; init; }

    /// <summary>Where the symbols come from.</summary>
    public required SymbolMode Mode { get; init; }

    /// <summary>
    /// For <see cref="SymbolMode.Seeded"/>: the probability of the X basis in units of 1/128, and of each intensity in units of
    /// 1/256 (sum 256).
    /// </summary>
    public SymbolWeights? Weights { get; init; }
}

/// <summary>Weights for the expansion of a seed into symbols.</summary>
/// <param name="XBasisOf128">Probability of the X basis, in units of 1/128.</param>
/// <param name="IntensitiesOf256">Probability of each intensity index, in units of 1/256; the sum is 256.</param>
public sealed record SymbolWeights(int XBasisOf128, IReadOnlyList<int> IntensitiesOf256);

/// <summary>Counters of a modulator.</summary>
/// <param name="Running">Whether slots are being emitted.</param>
/// <param name="NextSlot">The next slot to leave the instrument: all slots from the start up to this one have been emitted.</param>
/// <param name="BufferedSlots">Symbols waiting.</param>
/// <param name="Underruns">How often the buffer ran dry since <see cref="IPolarizationModulator.StartAsync"/>; emission stops at the first.</param>
/// <param name="Fault">The instrument's own words for a fault; empty if there is none.</param>
public sealed record ModulatorStatus(bool Running, long NextSlot, long BufferedSlots, long Underruns, string Fault);
