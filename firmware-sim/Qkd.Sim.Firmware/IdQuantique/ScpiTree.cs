namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The commands that the instrument knows. A header is written as in the manual, <c>INPUt#:ENABle</c>: the capitals are the short form,
/// anything between the short and the whole word is accepted in either case, and <c>#</c> stands for a number.
/// </summary>
internal sealed class ScpiTree
{
    private readonly List<Entry> _entries = [];

    /// <summary>Adds a setting that can be written and read.</summary>
    public void Setting(string header, int highestSuffix, Action<int, string> set, Func<int, string> get) =>
        _entries.Add(new Entry(Nodes(header), highestSuffix, set, get));

    /// <summary>Adds a value that can only be read.</summary>
    public void Reading(string header, int highestSuffix, Func<int, string> get) =>
        _entries.Add(new Entry(Nodes(header), highestSuffix, null, get));

    /// <summary>Adds something that can only be done.</summary>
    public void Action(string header, int highestSuffix, Action<int, string> act) =>
        _entries.Add(new Entry(Nodes(header), highestSuffix, act, null));

    /// <summary>Runs one command and returns its line of the answer.</summary>
    /// <exception cref="ScpiException">The command is not known or cannot be done.</exception>
    public string Execute(ScpiCommand command)
    {
        var header = string.Join(':', command.Nodes);
        foreach (var entry in _entries)
        {
            if (!entry.Matches(command.Nodes, out var suffix) || (command.IsQuery ? entry.Get is null : entry.Set is null))
            {
                continue;
            }

            if (suffix < (entry.HighestSuffix > 0 ? 1 : 0) || suffix > entry.HighestSuffix)
            {
                throw ScpiException.SuffixOutOfRange(header);
            }

            if (command.IsQuery)
            {
                return entry.Get!(suffix);
            }

            entry.Set!(suffix, command.Argument);
            return entry.Get is { } get ? $"Value set to {get(suffix)}" : "Done";
        }

        throw ScpiException.UndefinedHeader(header);
    }

    private static Node[] Nodes(string header) => [.. header.Split(':').Select(Node.Parse)];

    private sealed record Entry(Node[] Nodes, int HighestSuffix, Action<int, string>? Set, Func<int, string>? Get)
    {
        public bool Matches(IReadOnlyList<string> written, out int suffix)
        {
            suffix = 0;
            if (written.Count != Nodes.Length)
            {
                return false;
            }

            for (var i = 0; i < Nodes.Length; i++)
            {
                if (!Nodes[i].Matches(written[i], ref suffix))
                {
                    return false;
                }
            }

            return true;
        }
    }

    private readonly record struct Node(string Word, int ShortLength, bool Numbered)
    {
        public static Node Parse(string text)
        {
            var numbered = text.EndsWith('#');
            var word = numbered ? text[..^1] : text;
            var shortLength = word.TakeWhile(letter => !char.IsAsciiLetterLower(letter)).Count();
            return new Node(word, shortLength, numbered);
        }

        public bool Matches(string written, ref int suffix)
        {
            var letters = written.Length;
            while (Numbered && letters > 0 && char.IsAsciiDigit(written[letters - 1]))
            {
                letters--;
            }

            if (letters < ShortLength || !Word.StartsWith(written[..letters], StringComparison.OrdinalIgnoreCase))
            {
                return false;
            }

            // More digits than fit cannot be a block of this instrument.
            return !Numbered || letters == written.Length || int.TryParse(written.AsSpan(letters), out suffix);
        }
    }
}
