using System.Globalization;

namespace Qkd.Distillation;

/// <summary>The codes that are built in: fourteen rates in three lengths.</summary>
internal static class LdpcFamily
{
    /// <summary>Block columns of every code.</summary>
    public const int BlockColumns = 160;

    /// <summary>Block rows of the codes, the highest rate first: rates of 0.95 to 0.45.</summary>
    public static readonly int[] BlockRows = [8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 88];

    /// <summary>Lifts, the longest codes first: 163840, 81920 and 20480 symbols.</summary>
    public static readonly int[] Lifts = [1024, 512, 128];

    private const string Folder = "Qkd.Distillation.Reconciliation.Ldpc.Codes.";
    private static readonly Lazy<LdpcCode>[] Codes = [.. Enumerable.Range(0, Count).Select(index => new Lazy<LdpcCode>(() => Load(index)))];

    /// <summary>Number of codes.</summary>
    public static int Count => BlockRows.Length * Lifts.Length;

    /// <summary>Name of a code: its rate in thousandths and its lift.</summary>
    public static string NameOf(int index) => Name(BlockRows[index / Lifts.Length], LiftOf(index));

    /// <summary>Name of a code: its rate in thousandths and its lift.</summary>
    public static string Name(int blockRows, int lift) =>
        string.Create(CultureInfo.InvariantCulture, $"r{1000 - (1000 * blockRows / BlockColumns)}-{lift}");

    /// <summary>Z of a code.</summary>
    public static int LiftOf(int index) => Lifts[index % Lifts.Length];

    /// <summary>Symbols of a code, without loading it.</summary>
    public static int SymbolsOf(int index) => BlockColumns * LiftOf(index);

    /// <summary>Checks of a code, without loading it.</summary>
    public static int ChecksOf(int index) => BlockRows[index / Lifts.Length] * LiftOf(index);

    /// <summary>A code.</summary>
    public static LdpcCode Code(int index) => Codes[index].Value;

    /// <summary>Opens a file that is kept with the codes.</summary>
    public static TextReader Open(string file) =>
        new StreamReader(typeof(LdpcFamily).Assembly.GetManifestResourceStream(Folder + file)
            ?? throw new InvalidOperationException($"{file} is not built in."));

    private static LdpcCode Load(int index)
    {
        using var text = Open(NameOf(index) + ".txt");
        return LdpcCodeText.Read(NameOf(index), text);
    }
}
