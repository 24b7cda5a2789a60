namespace Qkd.Timing.Formats;

/// <summary>Formats of tag files.</summary>
public enum TagFormat
{
    /// <summary>PicoQuant's unified format, any record type.</summary>
    Ptu,

    /// <summary>HydraHarp T2 with the legacy header.</summary>
    Ht2,

    /// <summary>HydraHarp T3 with the legacy header.</summary>
    Ht3,

    /// <summary>S-Fifteen a1, low word first.</summary>
    S15A1,

    /// <summary>S-Fifteen a1, legacy order: high word first.</summary>
    S15A1X,

    /// <summary>Raw words of an S-Fifteen TDC1.</summary>
    Tdc1,

    /// <summary>ID Quantique timestamps, one channel.</summary>
    Idq,

    /// <summary>ID Quantique timestamps with the index of the reference edge.</summary>
    IdqReferenced,

    /// <summary>quTAG binary.</summary>
    QuTag,

    /// <summary>This project's recording of a session.</summary>
    Session,
}

/// <summary>Formats by the names that users write.</summary>
public static class TagFormatNames
{
    private static readonly (TagFormat Format, string Name)[] Table =
    [
        (TagFormat.Ptu, "ptu"), (TagFormat.Ht2, "ht2"), (TagFormat.Ht3, "ht3"), (TagFormat.S15A1, "s15-a1"), (TagFormat.S15A1X, "s15-a1x"),
        (TagFormat.Tdc1, "tdc1"), (TagFormat.Idq, "idq"), (TagFormat.IdqReferenced, "idq-ref"), (TagFormat.QuTag, "qutag"), (TagFormat.Session, "session"),
    ];

    /// <summary>All names.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Table.Select(entry => entry.Name)];

    /// <summary>The name of a format.</summary>
    public static string Name(this TagFormat format) => Table.First(entry => entry.Format == format).Name;

    /// <summary>The format of a name; null if there is none such.</summary>
    public static TagFormat? Parse(string name)
    {
        foreach (var entry in Table)
        {
            if (string.Equals(entry.Name, name, StringComparison.OrdinalIgnoreCase))
            {
                return entry.Format;
            }
        }

        return null;
    }
}
