namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>One command of a SCPI message.</summary>
/// <param name="Nodes">Header from the root, as the host wrote it, without colons.</param>
/// <param name="IsQuery">Whether the header ended in a question mark.</param>
/// <param name="Argument">What followed the header; empty if nothing did.</param>
internal readonly record struct ScpiCommand(IReadOnlyList<string> Nodes, bool IsQuery, string Argument);

/// <summary>An error with its number in the SCPI standard's list (SCPI-99, volume 2, chapter 21.8).</summary>
internal sealed class ScpiException(int code, string text) : Exception(text)
{
    public int Code => code;

    public static ScpiException UndefinedHeader(string header) => new(-113, $"Undefined header; {header}");

    public static ScpiException SuffixOutOfRange(string header) => new(-114, $"Header suffix out of range; {header}");

    public static ScpiException WrongArgument(string argument) => new(-104, $"Data type error; {argument}");

    public static ScpiException OutOfRange(string argument) => new(-222, $"Data out of range; {argument}");

    public static ScpiException Conflict(string reason) => new(-221, $"Settings conflict; {reason}");
}

/// <summary>
/// Cuts a SCPI message into commands: <c>;</c> stays in the branch of the command before, <c>;:</c> returns to the root, a common
/// command (<c>*IDN?</c>) leaves the branch as it was.
/// </summary>
internal static class ScpiBlock
{
    public static IReadOnlyList<ScpiCommand> Parse(string message)
    {
        var commands = new List<ScpiCommand>();
        foreach (var line in message.Split('\n'))
        {
            string[] branch = [];
            foreach (var text in Split(line, ';'))
            {
                var unit = text.Trim();
                if (unit.Length == 0)
                {
                    continue;
                }

                var space = unit.AsSpan().IndexOfAny(' ', '\t');
                var header = space < 0 ? unit : unit[..space];
                var argument = space < 0 ? "" : unit[space..].Trim();
                var query = header.EndsWith('?');
                if (query)
                {
                    header = header[..^1];
                }

                if (header.StartsWith('*'))
                {
                    commands.Add(new ScpiCommand([header], query, argument));
                    continue;
                }

                string[] nodes = header.StartsWith(':') ? header[1..].Split(':') : [.. branch, .. header.Split(':')];
                branch = nodes[..^1];
                commands.Add(new ScpiCommand(nodes, query, argument));
            }
        }

        return commands;
    }

    /// <summary>Cuts at a separator that is not inside double quotes.</summary>
    public static IEnumerable<string> Split(string text, char separator)
    {
        var (start, quoted) = (0, false);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '"')
            {
                quoted = !quoted;
            }
            else if (text[i] == separator && !quoted)
            {
                yield return text[start..i];
                start = i + 1;
            }
        }

        yield return text[start..];
    }
}
