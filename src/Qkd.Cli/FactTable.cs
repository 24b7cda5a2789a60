using Spectre.Console;

namespace Qkd.Cli;

/// <summary>What a verb has to tell, a name and a value a row, as a person reads it.</summary>
internal sealed class FactTable
{
    private readonly Table _table = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumns("", "");

    /// <summary>Adds a row.</summary>
    public void Row(string name, string value) => _table.AddRow(Markup.Escape(name), Markup.Escape(value));

    /// <summary>Prints it.</summary>
    public void Write() => AnsiConsole.Write(_table);
}
