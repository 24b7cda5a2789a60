namespace Qkd.Timing.Formats;

/// <summary>PicoQuant's kinds of time-tagged records; the values are those of the tag <c>TTResultFormat_TTTRRecType</c>.</summary>
public enum PicoQuantRecordType
{
    /// <summary>PicoHarp 300, T2.</summary>
    PicoHarpT2 = 0x00010203,

    /// <summary>PicoHarp 300, T3.</summary>
    PicoHarpT3 = 0x00010303,

    /// <summary>HydraHarp version 1, T2.</summary>
    HydraHarpV1T2 = 0x00010204,

    /// <summary>HydraHarp version 1, T3.</summary>
    HydraHarpV1T3 = 0x00010304,

    /// <summary>HydraHarp version 2, T2.</summary>
    HydraHarpV2T2 = 0x01010204,

    /// <summary>HydraHarp version 2, T3.</summary>
    HydraHarpV2T3 = 0x01010304,

    /// <summary>TimeHarp 260 N, T2.</summary>
    TimeHarp260NT2 = 0x00010205,

    /// <summary>TimeHarp 260 N, T3.</summary>
    TimeHarp260NT3 = 0x00010305,

    /// <summary>TimeHarp 260 P, T2.</summary>
    TimeHarp260PT2 = 0x00010206,

    /// <summary>TimeHarp 260 P, T3.</summary>
    TimeHarp260PT3 = 0x00010306,

    /// <summary>MultiHarp, PicoHarp 330 and later, T2.</summary>
    GenericT2 = 0x00010207,

    /// <summary>MultiHarp, PicoHarp 330 and later, T3.</summary>
    GenericT3 = 0x00010307,
}

/// <summary>How the bits of a record are laid out, most significant first: channel (with the special bit), delay in T3, time or sync count.</summary>
/// <param name="Type">The type.</param>
/// <param name="Name">In words.</param>
/// <param name="TimeBits">Bits of the time (T2) or of the sync count (T3).</param>
/// <param name="DelayBits">Bits of the delay; 0 in T2.</param>
/// <param name="Wrap">Ticks, or syncs, that an overflow stands for.</param>
/// <param name="CountsOverflows">Whether the time field of an overflow says how many there were.</param>
public sealed record PicoQuantLayout(PicoQuantRecordType Type, string Name, int TimeBits, int DelayBits, long Wrap, bool CountsOverflows)
{
    private static readonly PicoQuantLayout[] Table =
    [
        new(PicoQuantRecordType.PicoHarpT2, "PicoHarp 300 T2", 28, 0, 210_698_240, false),
        new(PicoQuantRecordType.PicoHarpT3, "PicoHarp 300 T3", 16, 12, 65_536, false),
        new(PicoQuantRecordType.HydraHarpV1T2, "HydraHarp V1 T2", 25, 0, 33_552_000, false),
        new(PicoQuantRecordType.HydraHarpV1T3, "HydraHarp V1 T3", 10, 15, 1024, false),
        new(PicoQuantRecordType.HydraHarpV2T2, "HydraHarp V2 T2", 25, 0, 33_554_432, true),
        new(PicoQuantRecordType.HydraHarpV2T3, "HydraHarp V2 T3", 10, 15, 1024, true),
        new(PicoQuantRecordType.TimeHarp260NT2, "TimeHarp 260 N T2", 25, 0, 33_554_432, true),
        new(PicoQuantRecordType.TimeHarp260NT3, "TimeHarp 260 N T3", 10, 15, 1024, true),
        new(PicoQuantRecordType.TimeHarp260PT2, "TimeHarp 260 P T2", 25, 0, 33_554_432, true),
        new(PicoQuantRecordType.TimeHarp260PT3, "TimeHarp 260 P T3", 10, 15, 1024, true),
        new(PicoQuantRecordType.GenericT2, "Generic T2", 25, 0, 33_554_432, true),
        new(PicoQuantRecordType.GenericT3, "Generic T3", 10, 15, 1024, true),
    ];

    /// <summary>All layouts.</summary>
    public static IReadOnlyList<PicoQuantLayout> All => Table;

    /// <summary>Whether the record is PicoHarp 300's, with channel 15 in place of a special bit.</summary>
    public bool IsPicoHarp => TimeBits + DelayBits == 28;

    /// <summary>Whether records carry a delay after a counted sync (T3).</summary>
    public bool IsT3 => DelayBits > 0;

    /// <summary>Records from this value on are special.</summary>
    internal uint SpecialFrom => IsPicoHarp ? 0xF000_0000 : 0x8000_0000;

    /// <summary>The layout of a type; null if there is none such.</summary>
    public static PicoQuantLayout? Of(long type) => Array.Find(Table, layout => (long)layout.Type == type);
}
