using System.Globalization;
using System.Text;

namespace Qkd.Distillation;

/// <summary>
/// The text form of a code: lines of a word and its values, first how the code was made, then <c>lift</c>, <c>columns</c>,
/// <c>rows</c>, <c>punctured</c> and a line <c>row column:shift ...</c> for each block row.
/// </summary>
internal static class LdpcCodeText
{
    /// <summary>Reads a code.</summary>
    /// <exception cref="FormatException">The text is not that of a code.</exception>
    public static LdpcCode Read(string name, TextReader text)
    {
        var (lift, columns, blockRows) = (0, 0, 0);
        int[] punctured = [];
        var rows = new List<(int Column, int Shift)[]>();
        while (text.ReadLine() is { } line)
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            switch (words.FirstOrDefault())
            {
                case "lift":
                    lift = Number(words[1]);
                    break;
                case "columns":
                    columns = Number(words[1]);
                    break;
                case "rows":
                    blockRows = Number(words[1]);
                    break;
                case "punctured":
                    punctured = [.. words.Skip(1).Select(Number)];
                    break;
                case "row":
                    rows.Add([.. words.Skip(1).Select(Entry)]);
                    break;
            }
        }

        var sound = lift >= 64 && (lift & (lift - 1)) == 0 && rows.Count > 0 && rows.Count == blockRows
            && rows.TrueForAll(row => row.Length > 1 && Array.TrueForAll(row, entry => entry.Column < columns && entry.Shift < lift))
            && Array.TrueForAll(punctured, column => column < columns);
        return sound ? new(name, lift, columns, rows, punctured) : throw new FormatException($"The code {name} is not whole.");
    }

    /// <summary>Writes a code, after the lines that say how it was made.</summary>
    public static string Write(LdpcCode code, IEnumerable<string> making)
    {
        var text = new StringBuilder().AppendJoin('\n', making).Append('\n');
        text.Append(CultureInfo.InvariantCulture, $"lift {code.Lift}\ncolumns {code.BlockColumns}\nrows {code.BlockRows}\npunctured");
        foreach (var column in code.PuncturedColumns)
        {
            text.Append(CultureInfo.InvariantCulture, $" {column}");
        }

        for (var row = 0; row < code.BlockRows; row++)
        {
            text.Append("\nrow");
            var columns = code.ColumnsOf(row);
            var shifts = code.ShiftsOf(row);
            for (var entry = 0; entry < columns.Length; entry++)
            {
                text.Append(CultureInfo.InvariantCulture, $" {columns[entry]}:{shifts[entry]}");
            }
        }

        return text.Append('\n').ToString();
    }

    private static (int Column, int Shift) Entry(string word)
    {
        var colon = word.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 ? (Number(word[..colon]), Number(word[(colon + 1)..])) : throw new FormatException($"{word} is no entry.");
    }

    private static int Number(string word) => int.Parse(word, NumberStyles.None, CultureInfo.InvariantCulture);
}
